"""A check in every format: for people, for CI systems, for GitHub."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace

import junit_rules
import pytest
from markdown_it import MarkdownIt

from formats.made_results import made, sweep
from gradflow.checks.checked import Checked, difference
from gradflow.checks.compare import Side, compare
from gradflow.checks.judge import judge
from gradflow.checks.wanted import Wanted
from gradflow.errors import Fault
from gradflow.formats import FORMATS, Look, for_files, for_screen
from gradflow.formats.github import MOST, command, faults
from pages import ROOT

HOSTILE = "a<b>&\"'%,:|`\n\r\x1b[31m\x00\ud800]]>☃"


def shown(name, report, of="check", **look):
    return "".join(FORMATS[name].show(of, report, Look(**look)))


def report(source="net.yaml", **more):
    wanted = [
        Wanted("horizon", least=16, source=source, line=5),
        Wanted("rate", least=0.5, most=1.11, source=source, line=6, item=1,
               where={"cell": ("rnn",)}),
        Wanted("rate", most=0.84, source=source, line=7, item=2, allow_undecided=True,
               where={"cell": ("rnn",), "ws_scale": (1.0,)}),
        Wanted("relative", lag=50, least=1e-2, source=source, line=8, item=3,
               where={"cell": ("lstm",), "ws_scale": (0.5,)}),
    ]  # fmt: skip
    return Checked(source, tuple(judge(wanted, sweep())), **more)


def compared(after=None):
    changed = after or [replace(sweep()[0], loss=9.0), *sweep()[2:], made(9, "gru")]
    side = Side(changed, (1e-3, 1e3))
    return compare(Side(sweep(), (1e-3, 1e3)), side)


def test_a_line_is_told_for_what_all_hold_and_for_each_run_that_does_not():
    lines = report().lines
    assert [(line.outcome, line.line, line.of) for line in lines] == [
        ("held", 5, "3 runs"),
        ("missed", 5, "rnn W_s×0.5"),
        ("missed", 5, "lstm W_s×0.5"),
        ("missed", 5, "lstm W_s×1.5"),
        ("held", 6, "rnn W_s×1.0"),
        ("missed", 6, "rnn W_s×0.5"),
        ("undecided", 6, "rnn W_s×1.5"),
        ("undecided, allowed", 7, "rnn W_s×1.0"),
        ("missed", 8, "lstm W_s×0.5"),
    ]
    assert lines[0].asked_at == "net.yaml:5"
    assert (lines[0].got, lines[0].runs, lines[1].runs) == ("40 to > 100", 3, 1)
    assert lines[3].got == "diverged at step 37"
    assert report().summary == "11 figures: 4 held, 5 missed, 1 undecided, 1 undecided, allowed."
    assert not report().held
    assert repr(report()) == (
        "<Check: 11 figures: 4 held, 5 missed, 1 undecided, 1 undecided, allowed>"
    )
    assert str(report()).splitlines()[1] == (
        "missed net.yaml:5 horizon at least 16: rnn W_s×0.5 9 (7 too small)"
    )


def test_a_single_run_that_is_as_before_is_named():
    side = Side(sweep()[:1], (1e-3, 1e3))
    (line,) = Checked("c", (), compare(side, side), "b.json").lines
    assert (line.outcome, line.of, line.runs) == ("held", "rnn W_s×0.5", 1)


def test_of_runs_that_hold_alike_one_figure_is_told():
    same = [made(n, rate=0.9, seed=n, varied=("seed",)) for n in range(3)]
    wanted = [Wanted("horizon", least=1), Wanted("verdict", one_of=("vanishing",))]
    lines = Checked("c", tuple(judge(wanted, same))).lines
    assert [(line.of, line.got) for line in lines] == [("3 runs", "66"), ("3 runs", "vanishing")]


def test_a_report_is_true_where_everything_holds():
    wanted = [Wanted("horizon", least=1, where={"cell": ("rnn",)})]
    assert Checked("c", tuple(judge(wanted, sweep())))
    assert not Checked("c", tuple(judge(wanted, sweep())), compared(), "b.json")
    assert Checked("c", (), compared(sweep()), "b.json")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_table_has_every_line_whatever_its_width(width):
    text = shown("table", report(), width=width)
    assert text.count("missed") >= 5
    assert "11 figures: 4 held" in " ".join(text.split())
    assert "\x1b" not in text
    assert "\x1b[1;31m" in shown("table", report(), width=160, colour=True)


def test_a_baseline_is_told_beside_the_expectations():
    text = shown("table", report(comparison=compared(), baseline="base.json"), width=200)
    assert re.search(r"missed +base.json +within 0.05 decades +gru +appeared", text)
    assert re.search(r"rnn W_s×1.0 +disappeared: no such run in the results", text)
    assert "loss 1.24 decades (0.5134 before, 9 now)" in text


def test_chaos_is_told():
    wild = [made(rate=1.3, T=100)]
    sides = [Side([one], (1e-3, 1e3)) for one in (*wild, replace(wild[0], loss=9.0))]
    text = shown("table", Checked("c", (), compare(*sides), "b"), width=300)
    overlap = "rates' intervals overlap +rnn +gradient grows beyond 1e10; rates at most 0 apart"
    assert re.search(overlap, text)
    found = compare(Side(wild, (1e-3, 1e3)), Side([made(rate=1.4, T=100)], (1e-3, 1e3)))
    text = shown("table", found, "comparison", width=300)
    assert "the gradient grows by 1e15 from end to end: the rates' intervals do not overlap" in text


def test_what_is_told_of_a_pair():
    moved = compare(
        Side([made(T=20)], (1e-3, 1e3)), Side([replace(made(T=20), loss=9.0)], (1e-3, 1e3))
    )
    assert difference(moved.pairs[0]) == "loss 1.24 decades (0.5134 before, 9 now)"
    wild, wilder = made(rate=1.3, T=100), made(rate=1.4, T=100)
    found = compare(Side([wild], (1e-3, 1e3)), Side([wilder], (1e-3, 1e3))).pairs[0]
    assert difference(found).startswith("the gradient grows by 1e15 from end to end: ")
    assert (
        "; rate 0.0322 decades (1.3 (1.2935 to 1.3065) before, 1.4 (1.393 to 1.407) now)"
        in difference(found)
    )
    dead = compare(Side([made(T=30, zero_from=9)], (1e-3, 1e3)), Side([made(T=30)], (1e-3, 1e3)))
    assert difference(dead.pairs[0]).endswith("on one side only at lag 9")


def test_json_has_every_judgement_and_no_infinity():
    def refuse(constant):
        raise AssertionError(constant)

    wanted = [Wanted("horizon", least=math.inf, where={"ws_scale": (1.0,)})]
    whole = report(comparison=compared(), baseline="base.json")
    endless = Checked("c", tuple(judge(wanted, sweep())))
    for one in (whole, endless):
        found = json.loads(shown("json", one), parse_constant=refuse)
        assert len(found["expectations"]) == len(one.judgements)
    assert found["expectations"][0]["min"] == "inf"
    found = json.loads(shown("json", whole))
    assert (found["held"], found["config"], found["baseline"]) == (False, "net.yaml", "base.json")
    first = found["expectations"][0]
    assert (first["figure"], first["line"], first["outcome"]) == ("horizon", 5, "missed")
    assert (first["value"], first["got"], first["off"]) == (9.0, "9", "7 too small")
    assert [run["change"] for run in found["comparison"]["runs"]].count("disappeared") == 1


def test_markdown_is_a_table_that_nothing_breaks():
    hostile = report(source=HOSTILE, title=HOSTILE, comparison=compared(), baseline=HOSTILE)
    text = shown("markdown", hostile)
    tokens = MarkdownIt().enable("table").parse(text)
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == 1 + len(hostile.lines)
    assert not any(token.type == "html_block" for token in tokens)
    assert "<b>" not in MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


@pytest.mark.parametrize("source", ["net.yaml", "-", HOSTILE])
@pytest.mark.parametrize("with_baseline", [False, True])
def test_junit_keeps_to_the_rules_of_ci_systems(source, with_baseline):
    more = {"comparison": compared(), "baseline": source} if with_baseline else {}
    one = report(source=source, **more)
    root = junit_rules.check(shown("junit", one))
    (suite,) = root.findall("testsuite")
    pairs = len(one.comparison.pairs) if with_baseline else 0
    assert int(suite.get("tests")) == len(one.judgements) + pairs
    failed = sum(judgement.fails for judgement in one.judgements)
    missed = sum(not pair.held for pair in one.comparison.pairs) if with_baseline else 0
    assert int(suite.get("failures")) == failed + missed
    assert int(suite.get("skipped")) == 1
    assert len(root.findall(".//skipped")) == 1


def test_junit_is_what_it_declares_in_every_encoding():
    text = shown("junit", Checked("é", tuple(judge([Wanted("horizon", least=1)], sweep()))))
    assert text.isascii()
    assert any("W_s×" in case.get("name") for case in junit_rules.check(text).iter("testcase"))


def test_no_two_cases_of_junit_are_called_alike():
    wanted = [
        Wanted("horizon", least=1, where=where)
        for where in ({}, {"cell": ("rnn",)}, {"ws_scale": (0.5,)})
    ]
    root = junit_rules.check(shown("junit", Checked("c", tuple(judge(wanted, sweep())))))
    named = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(named)) == len(named)
    assert ("c.horizon", "horizon at least 1 [rnn W_s×0.5] (3)") in named


def test_junit_says_what_was_wanted_and_where():
    root = junit_rules.check(shown("junit", report()))
    case = next(c for c in root.iter("testcase") if c.find("failure") is not None)
    assert case.attrib == {
        "classname": "net.horizon",
        "name": "horizon at least 16 [rnn W_s×0.5]",
    }
    failure = case.find("failure")
    assert failure.attrib == {"type": "missed", "message": "got 9, 7 too small"}
    assert failure.text == "net.yaml:5: wanted horizon at least 16, got 9, 7 too small"


@pytest.mark.parametrize(
    "text",
    [
        "<testsuite/>",
        '<testsuite name="a" tests="1" failures="0" errors="0"/>',
        '<testsuites><testsuite name="a" tests="1" failures="0" errors="0"><testcase/>'
        "</testsuite></testsuites>",
        '<testsuites><testcase name="a"/></testsuites>',
        '<testsuites line="3"/>',
        "<testsuites>text</testsuites>",
        '<testsuite name="a" tests="1" failures="0" errors="0"><testcase name="b">'
        "<failure/></testcase></testsuite>",
    ],
)
def test_the_rules_reject_what_is_not_of_them(text):
    with pytest.raises(AssertionError):
        junit_rules.check(text)


def unescaped(line):
    """(properties, message) of a workflow command, as GitHub's runner reads it."""
    properties, message = re.fullmatch(r"::error (.*?)::(.*)", line, re.DOTALL).groups()
    pairs = dict(one.split("=", 1) for one in properties.split(","))

    def plain(text):
        return re.sub("%(25|0D|0A|3A|2C)", lambda m: chr(int(m[1], 16)), text)

    return {name: plain(value) for name, value in pairs.items()}, plain(message)


def test_github_shows_an_error_on_the_line_that_asked_for_it():
    lines = shown("github", report()).splitlines()
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 6
    properties, message = unescaped(errors[0])
    assert properties == {
        "file": "net.yaml",
        "line": "5",
        "title": "gradflow: horizon at least 16",
    }
    assert message == ("missed: rnn W_s×0.5: wanted horizon at least 16, got 9, 7 too small")
    assert lines[-1] == "11 figures: 4 held, 5 missed, 1 undecided, 1 undecided, allowed."


def test_github_is_told_of_ten_and_how_many_more():
    wanted = [Wanted("horizon", least=1000, line=n) for n in range(1, 5)]
    many = Checked("net.yaml", tuple(judge(wanted, sweep()[:3])))
    assert sum(judgement.fails for judgement in many.judgements) == 12
    lines = shown("github", many).splitlines()
    errors = [x for x in lines if x.startswith("::error")]
    assert len(errors) == MOST  # an eleventh would not be shown
    assert lines[MOST] == "::notice file=net.yaml,title=gradflow check::… and 2 more"


def test_github_shows_what_no_line_asked_for_on_that_of_the_cell_or_on_the_step():
    wanted = [Wanted("horizon", least=1000, source="--set expect.horizon.min=1000")]
    judged = tuple(judge(wanted, sweep()[:1]))
    one = Checked("net.yaml", judged, compared(), "base.json", line=4)
    lines = shown("github", one).splitlines()
    assert lines[0].startswith(
        "::error title=gradflow%3A horizon at least 1000::--set expect.horizon.min=1000: missed: "
    )
    assert all(line.startswith("::error file=net.yaml,line=4,title=") for line in lines[1:-1])
    assert len(lines) > 2


def test_nothing_breaks_out_of_a_workflow_command():
    text = command(HOSTILE, HOSTILE, HOSTILE, 3, 7)
    assert text.count("\n") == 1
    properties, message = unescaped(text.rstrip("\n"))
    assert properties == {"file": HOSTILE, "line": "3", "col": "7", "title": HOSTILE}
    assert message == HOSTILE
    for none in ("-", ""):
        assert command("m", "t", none, 3, 7) == "::error title=t::m\n"  # a line is of a file


def test_a_file_is_named_from_the_top_of_the_repository(tmp_path, monkeypatch):
    inside = tmp_path / "top" / "nets"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "top"))
    outside = str(tmp_path / "net.yaml")
    for file, named in (
        ("net.yaml", "nets/net.yaml"),
        ("../net.yaml", "net.yaml"),
        (str(inside / "net.yaml"), "nets/net.yaml"),
        (outside, outside),
    ):
        assert command("m", "t", file, 3) == f"::error file={named},line=3,title=t::m\n"
    monkeypatch.delenv("GITHUB_WORKSPACE")
    assert command("m", "t", "net.yaml", 3) == "::error file=net.yaml,line=3,title=t::m\n"


def test_faults_of_a_config_are_errors_too():
    told = list(faults([Fault("bad", "c.yaml", n, 2, "cell") for n in range(1, 14)]))
    assert told[MOST:] == ["::notice title=gradflow%3A config::… and 3 more\n"]
    assert all(line.startswith("::error ") for line in told[:MOST])
    assert unescaped(told[0].rstrip("\n")) == (
        {"file": "c.yaml", "line": "1", "col": "2", "title": "gradflow: config"},
        "cell: bad",
    )


def test_a_comparison_in_every_format():
    comparison = compared()
    for name in for_screen("comparison"):
        assert shown(name, comparison, "comparison")
    rows = list(csv.DictReader(io.StringIO(shown("csv", comparison, "comparison"))))
    changed = [row for row in rows if row["name"] == "rnn W_s×0.5"]
    assert changed[0]["quantity"] == "loss"
    assert float(changed[0]["decades"]) == pytest.approx(math.log10(9 / 0.5134))
    assert (changed[0]["held"], changed[0]["run_before"], changed[0]["run_after"]) == (
        "false", "0", "0")  # fmt: skip
    assert {row["change"] for row in rows} == {"", "appeared", "disappeared"}
    assert any(row["quantity"] == "grad_W_s" and row["lag"] == "0" for row in rows)
    found = json.loads(shown("json", comparison, "comparison"))
    assert (found["held"], found["tolerance"]) == (False, 0.05)
    assert len(found["runs"]) == 7
    tokens = MarkdownIt().enable("table").parse(shown("markdown", comparison, "comparison"))
    assert sum(token.type == "tr_open" for token in tokens) == 8
    text = shown("table", comparison, "comparison", width=160)
    assert "7 runs: 4 within 0.05 decades." in text


def test_the_columns_of_a_comparison_are_documented():
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    table = page.partition("### The columns of compare")[2].partition("\n\nA run")[0]
    heads = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    told = re.findall(r"`(\w+)`", " ".join(heads))
    assert told == shown("csv", compared(), "comparison").splitlines()[0].split(",")


def test_the_suffixes_of_a_check():
    assert set(for_files("check")) == {".txt", ".json", ".md", ".html", ".junit.xml"}
    assert {"github", "table", "json", "markdown"} <= set(for_screen("check"))
    figures = {".svg", ".png", ".pdf"}
    assert set(for_files("comparison")) == {".txt", ".csv", ".json", ".md", ".html", *figures}
