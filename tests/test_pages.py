"""A page that shows what does not happen is found out, whatever kind of snippet shows it."""

from __future__ import annotations

from itertools import count

import pytest

from page_runner import Session, differences
from pages import MalformedError, anchors, links, snippets


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
        fence("sh", "no-such-command", "needs: no-such-command"),
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
    assert anchors(text) == {"what-it-is-w_s-and-l", "a", "a-1"}
