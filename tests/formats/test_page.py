"""Pages: HTML that nothing breaks, that loads nothing, and that says what the tables say."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import replace

import html5lib
import numpy as np
import pytest
from typer.main import get_command

from command import SMALL, main
from formats.made_results import SAMPLES, made, sweep
from formats.thousand_runs import thousand_runs
from gradflow.checks.checked import Checked
from gradflow.checks.compare import Side, compare
from gradflow.checks.judge import judge
from gradflow.checks.wanted import Wanted
from gradflow.cli import app_for
from gradflow.config.load import from_mapping
from gradflow.criticality import find
from gradflow.errors import InputError
from gradflow.explanation import explain
from gradflow.formats import FORMATS, Format, Look, for_files
from gradflow.formats.page.content import MOST_ROWS, Column, Table
from gradflow.formats.page.drawing import WITHOUT
from gradflow.formats.page.tables import column
from gradflow.runs.runner import execute

HOSTILE = "</script><script>alert(1)</script>\"'&<b> ‮שלום\n\x00]]>${7*7}{{7*7}}"
REPORTS = ("results", "runs", "tracking", "critical", "explanation", "check", "comparison")


def page(content, report="results", **look):
    """The text of a page, and its elements by an HTML 5 parser that lets no fault pass."""
    text = b"".join(FORMATS["html"].show(report, content, Look(**look))).decode("utf-8")
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return text, parser.parse(text)


def texts(root, tag):
    return [" ".join("".join(element.itertext()).split()) for element in root.iter(tag)]


@pytest.fixture
def no_figures(monkeypatch):
    """As where matplotlib is not installed."""
    missing = Format.missing
    monkeypatch.setattr(
        Format, "missing", lambda self: "none" if self.name == "svg" else missing(self)
    )


def content_of(report):
    """Something to show, with a hostile name wherever there is a name."""
    if report in ("results", "runs"):
        return [replace(one, notes=(HOSTILE,)) for one in sweep()]
    if report == "tracking":
        varied = ("checkpoint",)
        return [
            replace(one, axes={"checkpoint": f"{HOSTILE}{one.run}", **one.axes}, varied=varied)
            for one in sweep()
        ]
    small = {"hidden_size": 3, "batch_size": 4, "sequence_length": 4, "input_size": 2}
    experiment = from_mapping({**small, "cell": "rnn", "title": HOSTILE})
    if report == "critical":
        return find(experiment, execute, grid=3, most=1, longer=False, theory=False)
    if report == "explanation":
        return list(explain(experiment, execute, advice=False))
    sides = [Side(sweep(), (1e-3, 1e3)), Side([*sweep()[1:], made(9, HOSTILE)], (1e-3, 1e3))]
    if report == "comparison":
        return compare(*sides)
    wanted = [Wanted("horizon", least=16, source=HOSTILE, line=5), Wanted("rate", most=0.9)]
    judged = tuple(judge(wanted, sweep()))
    return Checked(HOSTILE, judged, compare(*sides), HOSTILE, HOSTILE, tuple(sweep()))


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_sample_is_well_formed(sample, no_figures):
    text, root = page(SAMPLES[sample]())
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert text.endswith("</html>\n")
    assert len(texts(root, "h1")) == 1


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_that_somebody_named_becomes_markup(report, no_figures):
    content = content_of(report)
    config = {"title": HOSTILE, HOSTILE: 1}
    sources = {HOSTILE: {"gradflow": HOSTILE, "config": config}}
    text, root = page(content, report, title=HOSTILE, config=config, sources=sources)
    assert len(list(root.iter("script"))) == 1
    assert not list(root.iter("b"))
    assert "alert(1)</script>" not in text
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "49" not in texts(root, "h1")[0]
    assert "<script>alert(1)</script>\"'&<b> שלום" in " ".join(texts(root, "h1"))


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_is_loaded_and_the_policy_lets_nothing_be(report):
    content = sweep() if report in ("results", "runs") else content_of(report)
    text, root = page(content, report)
    for element in root.iter():
        assert element.tag not in ("iframe", "object", "embed", "base", "img", "form", "link") or (
            element.get("href") == "data:,"
        )
        for name in ("src", "href"):
            assert element.get(name, "#").startswith(("#", "data:")), element.attrib
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
    assert "url(" not in "".join(texts(root, "style"))
    assert "http:" not in text
    [policy] = [e.get("content") for e in root.iter("meta") if "http-equiv" in e.attrib]
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        [element] = root.iter(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("report", ["results", "check"])
def test_every_identifier_is_of_one_element_and_all_that_is_referred_to_is_there(report):
    pytest.importorskip("matplotlib")
    text, root = page(content_of(report), report)
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert set(ids.values()) == {1}
    referred = set(re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]+)', text))
    assert referred <= set(ids)
    assert list(root.iter("{http://www.w3.org/2000/svg}path")) or list(root.iter("path"))


@pytest.mark.parametrize("report", ["results", "check"])
def test_the_same_report_gives_the_same_bytes(report):
    content = content_of(report)
    assert page(content, report)[0] == page(content, report)[0]


def test_a_figure_follows_the_dark():
    pytest.importorskip("matplotlib")
    text, _ = page(sweep())
    dark = text[text.index("@media screen and (prefers-color-scheme: dark)") :]
    assert '.drawing [fill="#262626"] { fill: #' in dark
    assert 'fill="#262626"' in text


def test_without_matplotlib_the_page_has_everything_else(no_figures):
    _, root = page(sweep())
    assert WITHOUT in texts(root, "p")
    assert "pip install matplotlib" in WITHOUT
    assert len(list(root.iter("table"))) == 2
    curves = [e for e in root.iter() if e.get("class", "").startswith("curve ")]
    assert len(curves) == 5  # the one that diverged has none


def test_where_nothing_can_be_drawn_it_says_why():
    pytest.importorskip("matplotlib")
    text, _ = page([made(rate=None, loss=math.inf)])
    assert "There is nothing to draw" in text


def test_the_short_answer_is_first_and_the_table_has_every_run(no_figures):
    _, root = page(sweep())
    sections = list(root.iter("section"))
    assert sections[0].get("class") == "answer"
    [sentence] = [e for e in root.iter("p") if e.get("class") == "sentence"]
    assert sentence.text == "6 runs: 3 vanishing, 1 exploding, 1 stable, 1 diverged."
    [table] = [e for e in root.iter("table") if e.get("id") == "runs-table"]
    rows = [texts_of(row) for row in table.iter("tr")]
    assert rows[0][:5] == ["run", "cell", "W_s×", "verdict", "curve"]
    assert [row[:3] for row in rows[1:3]] == [["0", "rnn", "0.5"], ["1", "rnn", "1.0"]]
    assert rows[1][rows[0].index("rate per step")] == "0.4500"
    assert rows[6][3] == "×diverged"


def texts_of(row):
    return [" ".join("".join(cell.itertext()).split()) for cell in row]


def test_a_single_run_is_answered_in_a_sentence(no_figures):
    _, root = page([made()])
    [sentence] = [e for e in root.iter("p") if e.get("class") == "sentence"]
    assert "".join(sentence.itertext()) == "↓The gradient falls below 0.001 of its start at lag 66."
    _, root = page([made(rate=None, loss=math.inf)])
    [sentence] = [e for e in root.iter("p") if e.get("class") == "sentence"]
    assert "forward state left float range at step 37" in "".join(sentence.itertext()).lower()


def test_tables_are_read_aloud_as_tables(no_figures):
    _, root = page(sweep())
    for table in root.iter("table"):
        assert texts(table, "caption")[0]
        head, *rows = table.iter("tr")
        assert {cell.get("scope") for cell in head} == {"col"}
        assert all(row[0].tag == "th" and row[0].get("scope") == "row" for row in rows)
    for scrolled in root.iter("div"):
        if scrolled.get("class") == "scroll":
            assert scrolled.get("tabindex") == "0"
            assert scrolled.get("aria-labelledby")


def test_the_tables_of_a_thousand_runs_are_below_1_mb(no_figures):
    text = b"".join(FORMATS["html"].show("results", thousand_runs(), Look()))
    assert len(text) < 1e6
    assert text.count(b"<tr>") == 1001
    assert b"Too many runs to be side by side" in text


def test_of_too_many_rows_it_is_said_how_many_are_missing():
    table = Table("t", "many", [Column("n", [str(n) for n in range(MOST_ROWS + 7)])])
    assert (len(list(table.rows)), table.left_out) == (MOST_ROWS, 7)


@pytest.mark.parametrize(
    ("found", "numbers"),
    [
        (["1.5", "> 100 (≈ 196)", "–"], True),
        (["0.3520 ±0.0028", "1.9e-603"], True),
        (["1,234", "-0.5", "inf"], True),
        (["17 (14 to > 100)", ""], True),
        (["rnn", "1"], False),
        (["–", "–"], False),
        (["2 layers", "3rd"], False),
        (["3 vanishing", "2 vanishing, 1 stable"], False),
        (["0.3492 to 0.3547", "infinite"], True),
    ],
)
def test_a_column_of_numbers_is_one(found, numbers):
    assert column("head", found).is_number == numbers


def test_the_config_is_there_whole_and_harmless(no_figures):
    _, root = page([made()], config={"title": "\u202e", "cell": "rnn", "deep": {"a": [1, None]}})
    [shown] = texts(root, "pre")
    assert json.loads(shown) == {"title": "\u202e", "cell": "rnn", "deep": {"a": [1, None]}}
    assert "\\u202e" in shown


@pytest.mark.parametrize(
    "command", get_command(app_for()).commands.values(), ids=lambda one: one.name
)
def test_what_writes_a_page_or_a_figure_takes_a_theme(command):
    options = {name: one for one in command.params for name in one.opts}
    written = options["--output"].help if "--output" in options else ""
    assert (".html" in written or ".svg" in written) == ("--theme" in options)


@pytest.mark.parametrize("arguments", [("check",), ("explain", "--no-advice")])
def test_the_page_of_a_command_has_the_theme_that_is_asked_for(arguments, tmp_path, capsys):
    config, written = tmp_path / "net.yaml", tmp_path / "page.html"
    config.write_text(SMALL + "expect: [{verdict: [vanishing, stable]}]\n")
    command, *more = arguments
    code, _, err = main(capsys, command, config, *more, "--theme", "dark", "--output", written)
    assert (code, err) == (0, "")
    assert '<meta name="color-scheme" content="dark">' in written.read_text()


@pytest.mark.parametrize(("theme", "media"), [("dark", "@media screen {"), ("light", "not all")])
def test_a_theme_holds_on_any_screen(theme, media, no_figures):
    text, root = page(sweep(), theme=theme)
    assert media in text
    assert "prefers-color-scheme" not in text
    assert [e.get("content") for e in root.iter("meta") if e.get("name") == "color-scheme"] == [
        theme
    ]


def test_what_was_measured_is_a_table_by_gate_or_by_run(no_figures):
    small = {"hidden_size": 3, "batch_size": 4, "sequence_length": 4, "input_size": 2}
    for scales, heads in {
        (1.0,): ["gate", "mean", "p10"],
        (1.0, 2.0): ["figure", "W_s×1.0", "W_s×2.0"],
        (1.0, 2.0, 3.0, 4.0, 5.0): ["run", "i_mean", "i_p10"],
    }.items():
        config = {"cell": "lstm", "measure": ["gates"], "ws_scale": list(scales)}
        _, root = page(list(execute(from_mapping({**small, **config}))))
        [table] = [e for e in root.iter("table") if e.get("id") == "measure-gates-table"]
        head, *rows = [texts_of(row) for row in table.iter("tr")]
        assert head[:3] == heads
        gates = {"i", "f", "o"}
        found = {row[0].partition("_")[0] for row in rows}
        assert found == gates if len(scales) < 5 else len(rows) == 5
        assert all(0 <= float(row[1]) <= 1 for row in rows if "time_scale" not in row[0])


# Commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(
        "cell: rnn\nhidden_size: 4\nsequence_length: 6\nexpect: [{horizon: {min: 3}}]\n"
    )
    shapes = {"weight_ih_l0": (4, 3), "weight_hh_l0": (4, 4)}
    for n in (1, 2):
        np.savez(f"w-{n}.npz", **{key: np.full(shape, 0.1 * n) for key, shape in shapes.items()})
    (tmp_path / "t.yaml").write_text(
        "cell: {activation: tanh}\nsequence_length: 5\nweights: w-1.npz\n"
    )
    return tmp_path


def test_every_command_that_shows_results_writes_a_page(folder, capsys, no_figures):
    commands = {
        "analyze": ["c.yaml", "--output", "a.json"],
        "show": ["a.json"],
        "critical": ["c.yaml", "--set", "batch_size=4"],
        "explain": ["c.yaml", "--no-advice"],
        "check": ["c.yaml"],
        "compare": ["a.json", "a.json"],
        "track": ["t.yaml", "w-1.npz", "w-2.npz", "--expect", "horizon>=1"],
    }
    for command, arguments in commands.items():
        code, _, err = main(capsys, command, *arguments, "--output", f"{command}.html")
        assert (code, err) == (0, ""), command
        text = (folder / f"{command}.html").read_text(encoding="utf-8")
        html5lib.HTMLParser(strict=True).parse(text)
        assert "config, SHA-256" in text
    assert "--expect horizon&gt;=1" in (folder / "track.html").read_text(encoding="utf-8")
    tables = (folder / "analyze.html").read_text(encoding="utf-8")
    assert tables == (folder / "show.html").read_text(encoding="utf-8")


def test_without_jinja2_the_message_names_it(folder, capsys, monkeypatch):
    import gradflow.formats as formats

    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "jinja2" else name)
    code, out, err = main(capsys, "analyze", "c.yaml", "--output", "a.html")
    assert (code, out) == (2, "")
    assert err == "a.html: error: --output: html needs jinja2: pip install jinja2\n"
    assert not (folder / "a.html").exists()


def test_a_page_goes_to_a_file(folder, capsys):
    code, _, err = main(capsys, "analyze", "c.yaml", "--format", "html")
    assert code == 2
    assert "--output NAME.html" in " ".join(err.replace("│", " ").split())


def test_results_save_a_page(folder, no_figures):
    import gradflow

    results = gradflow.analyze({"cell": "rnn", "hidden_size": 4, "sequence_length": 6})
    results.save("r.html")
    assert "<h1" in (folder / "r.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"\.html"):
        results.save("r.xyz")


def test_what_can_be_shown_on_a_page():
    assert set(FORMATS["html"].shows) == set(REPORTS)
    assert all(for_files(report)[".html"].name == "html" for report in REPORTS)
