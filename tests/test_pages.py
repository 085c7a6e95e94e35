"""A page that shows what does not happen is found out, whatever kind of snippet shows it."""

from __future__ import annotations

from itertools import count

import pytest

from page_runner import Session, differences
from pages import MalformedError, anchors, images, links, snippets
from pictures import figure_differences


def faults(folder, text):
    return list(Session(folder / "page").faults(snippets(text)))


def fence(language, text, *comments):
    return "".join(f"<!-- {c} -->\n" for c in comments) + f"```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    "page",
    [
        fence("sh", "seq 3 | tail -n 1") + fence("text", "3", "output of the above"),
        fence("text", "3", "output of: seq 3 | tail -n 1"),
        fence("text", "no", "output of: echo no >&2; exit 4", "exit: 4"),
        fence("sh", "false", "exit: 1"),
        fence("sh", "false", "not run: a wrong one"),
        fence("sh", "no-such-command", "needs: no-such-command")
        + fence("text", "what it prints", "output of the above"),
        fence("text", "1\n...\n9", "output of: seq 9"),
        fence("text", "cell: [rnn, lstm, gru]", "output of: grep ^cell configs/quickstart.yaml"),
        fence("csv", "a,b", "file: a.csv") + fence("text", "a,b", "output of: cat a.csv"),
        fence("python", "a = 1") + fence("pycon", ">>> a + 1.5\n2.5"),
        fence("python", "print(1 / 3)") + fence("text", "0.33", "output of the above"),
        fence("yaml", "cell: lstm", "file: net.yaml")
        + fence("sh", "gradflow analyze net.yaml --set hidden_size=2 --quiet"),
        fence("yaml", "ws_scale: 2"),
        fence("yaml", "- run: cell"),
        fence("text", "anything"),
        fence("sh", "gradflow cells rnn\ngradflow cells gru")
        + fence("text", "rnn\n...\ngru\n...", "output of the above"),
        fence("sh", "gradflow analyze \\\n  configs/no.yaml\ngradflow cells", "exit: 2")
        + fence("text", "configs/no.yaml: error: no such file\n...", "output of the above"),
        "- a point\n\n  <!-- exit: 1 -->\n  ```sh\n  false\n  ```\n",
    ],
    ids=count(),
)
def test_what_is_so_passes(tmp_path, page):
    assert faults(tmp_path, page) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (
            fence("sh", "seq 3") + fence("text", "1\n3", "output of the above"),
            "line 5: shown\n1\n3",
        ),
        (fence("text", "1.02", "output of: echo 1.05"), "line 2: shown 1.02 but printed 1.05"),
        (fence("text", "1.9e-45", "output of: echo 3.1e-45"), "shown 1.9e-45 but"),
        (fence("text", "1.5e-603", "output of: echo 1.5e-602"), "shown 1.5e-603 but"),
        (fence("text", "1\n...\n8", "output of: seq 9"), "but printed"),
        (fence("sh", "echo oh; false | cat"), "line 1: exit 1 in place of 0"),
        (fence("sh", "true", "exit: 1"), "line 2: exit 0 in place of 1"),
        (fence("sh", "false\ntrue"), "exit 1"),
        (fence("python", "1 / 0"), "ZeroDivisionError"),
        (fence("pycon", ">>> 1 + 1\n3"), "Expected:"),
        (fence("yaml", "cell: lsmt"), "did you mean"),
        (fence("yaml", "cell: rnn\nwsscale: 2"), "unknown key"),
        (fence("yaml", "ws_scale: two"), "ws_scale"),
        (fence("yaml", "a: [1"), "line 1: "),
    ],
    ids=count(),
)
def test_what_is_not_so_is_found(tmp_path, page, fault):
    (found,) = faults(tmp_path, page)
    assert fault in found


@pytest.mark.parametrize("comment", ["output for: ls", "output of:", "not run", "exit 1", "todo"])
def test_a_comment_above_a_snippet_has_to_be_known(comment):
    with pytest.raises(MalformedError, match="line 2"):
        snippets(fence("sh", "ls", comment))
    assert snippets(f"<!-- {comment} -->\n\nWords.\n\n" + fence("sh", "ls"))


def test_what_is_missing_here_is_said(tmp_path):
    session = Session(tmp_path / "page")
    needs = fence("sh", "false", "needs: bash no-such-command")
    assert list(session.faults(snippets(needs))) == []
    assert session.missing == {"no-such-command"}


def test_drawn_lengths_are_not_compared_and_words_are():
    assert not [*differences("a 1.00 ▅▃▁··", "a  1.01 ▅▁··")]
    assert [*differences("a 1.00 stable", "a 1.00 vanishing")]
    assert [*differences("a 1.00", "a 1.00 2.00")]


def test_links_and_anchors():
    text = "# What it is, `W_s` and ∂L\n\n[a](b.md#c) ![d](e.png) <https://f.example>\n\n# A\n# A\n"
    assert links(text) == ["b.md#c", "e.png", "https://f.example"]
    assert images(text) == ["e.png"]
    assert anchors(text) == {"what-it-is-w_s-and-l", "a", "a-1"}


FIGURE = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<style>@media (prefers-color-scheme: dark){.gradflow [style*="fill: #fff"]{fill:#111}}</style>
<path d="M 10.5 20 L 30 40 L 50 1e-1 z" style="stroke: #8c8c8c"/>
<use xlink:href="#a" x="10" y="20"/><text x="1" y="2">W_s\xc3\x970.5</text><text>vanishing</text>
</svg>"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"vanishing", b"stable", "but printed"),
        (b"0.5<", b"0.8<", "shown 0.5 but printed 0.8"),
        (b"L 50", b"L 69", "in place of"),
        (b'y="2"', b'y="22"', "in place of"),
        (b"<text>vanishing</text>", b"", "but printed"),
        (b"#8c8c8c", b"#ff0000", "other ones"),
        (b"</svg>", b"<path/></svg>", "4 shapes in place of 5"),
        (b"#111", b"#222", "a dark page"),
    ],
)
def test_another_figure_is_found(old, new, fault):
    assert old in FIGURE
    changed = FIGURE.replace(old, new, 1)
    assert fault in "".join(figure_differences(FIGURE, changed, shapes_too=True))


def test_a_figure_drawn_a_hair_apart_is_the_same():
    other = FIGURE.replace(b"10.5 20", b"10.4999 20.01 L 15 25").replace(b"#a", b"#b")
    assert not [*figure_differences(FIGURE, other)]


def test_figures_made_are_known_by_name(tmp_path):
    session = Session(tmp_path / "page")
    script = "gradflow analyze configs/every-step.yaml -q -o docs/figures/a.svg -o b.svg"
    assert not [*session.faults(snippets(fence("sh", script)))]
    made = session.figures()
    assert made["a.svg"].read_bytes() == made["b.svg"].read_bytes()
