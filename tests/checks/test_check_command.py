"""`gradflow check`, `compare` and `track --expect`, from the command line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import junit_rules
import numpy as np
import pytest

import gradflow
from command import main

NET = """cell: [rnn, lstm]
sequence_length: 20
hidden_size: 8
"""
HELD = "expect:\n  - {horizon: {min: 3}}\n"
MISSED = "expect:\n  - {verdict: vanishing}\n  - {where: {cell: lstm}, horizon: {min: 100}}\n"


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def write(more=HELD, name="net.yaml"):
        (tmp_path / name).write_text(NET + more)
        return name

    return write


def baseline(capsys, config, name="base.json"):
    done = main(capsys, "check", config, "--baseline", name, "--update-baseline", "--quiet")
    assert done == (0, "", f"wrote {name}: 2 runs\n")
    return name


def test_what_holds_ends_with_0_and_a_line_an_expectation(net, capsys):
    code, out, err = main(capsys, "check", net())
    assert (code, err) == (0, "")
    assert out.splitlines()[2].split() == [
        "held", "net.yaml:5", "horizon", "at", "least", "3", "2", "runs",
        *out.splitlines()[2].split()[8:],
    ]  # fmt: skip
    assert out.endswith("2 figures: 2 held.\n")


def test_what_misses_ends_with_1_and_says_by_how_much_and_where(net, capsys):
    code, out, err = main(capsys, "check", net(MISSED))
    assert (code, err) == (1, "")
    (line,) = [line for line in out.splitlines() if line.startswith("missed")]
    [result] = [r for r in gradflow.analyze("net.yaml") if r.axes["cell"] == "lstm"]
    horizon = result.diagnosis.horizon
    assert line.split() == (
        f"missed net.yaml:6 horizon at least 100 lstm {horizon} {100 - horizon} too small".split()
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "net.yaml: error: nothing is expected: add `expect:`"),
        ("expect: []\n", "nothing is expected"),
        ("expect:\n  - {horizn: 3}\n", "net.yaml:5:6: error: expect[0].horizn: unknown figure"),
        ("expect:\n  - {where: {cell: gru}, horizon: 3}\n", "matches no run"),
        (
            "expect:\n  - {grad_c: {lag: 3, min: 0}}\n",
            "5:6: error: expect[0].grad_c: rnn has no",
        ),
        ("expect:\n  - {grad_W_s: {lag: 20, min: 0}}\n", "expected at most 19, the last lag"),
    ],
)
def test_what_can_not_be_checked_is_an_error(net, capsys, more, message):
    code, out, err = main(capsys, "check", net(more))
    assert (code, out) == (2, "")
    assert message in err


def test_every_output_is_written_and_says_the_same(net, capsys):
    names = ("c.junit.xml", "c.json", "c.md", "c.html", "c.txt")
    outputs = [word for name in names for word in ("--output", name)]
    code, out, _ = main(capsys, "check", net(MISSED), "--quiet", *outputs)
    assert (code, out) == (1, "")
    texts = {name: Path(name).read_text(encoding="utf-8") for name in names}
    assert junit_rules.check(texts["c.junit.xml"]).get("failures") == "1"
    assert json.loads(texts["c.json"])["held"] is False
    for text in texts.values():
        assert "too small" in text
    assert texts["c.txt"] == main(capsys, "check", "net.yaml")[1]


@pytest.mark.parametrize("name", ["c.xml", "c.csv", "c.junit", "net.yaml"])
def test_an_output_of_no_format_or_over_what_is_read_is_refused(net, capsys, name):
    before = (net(), Path("net.yaml").read_text())
    code, _, err = main(capsys, "check", "net.yaml", "--output", name)
    assert code == 2
    assert "expected a name that ends in one of" in err or "which this run reads" in err
    assert Path("net.yaml").read_text() == before[1]


def test_github_is_told_on_the_line_and_in_the_summary(net, capsys, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, out, err = main(capsys, "check", net(MISSED), "--format", "github")
    assert (code, err) == (1, "")
    assert out.startswith("::error file=net.yaml,line=6,title=gradflow%3A horizon at least 100::")
    text = summary.read_text()
    assert text.startswith("before\n### gradflow check: net.yaml: missed\n\n| outcome |")
    main(capsys, "check", "net.yaml", "--format", "table")
    assert summary.read_text() == text


def test_github_is_told_of_a_wrong_config_too(net, capsys):
    code, out, err = main(capsys, "check", net("expect: [{horizn: 3}]\n"), "--format", "github")
    assert code == 2
    assert out.startswith("::error file=net.yaml,line=4,col=11,title=gradflow%3A config::")
    assert err.startswith("net.yaml:4:11: error: ")


def test_what_an_option_says_is_no_file_that_github_could_show_an_error_on(net, capsys):
    command = ("check", net(), "--set", "expect=[bad]", "--format", "github")
    code, out, err = main(capsys, *command)
    assert code == 2
    assert out == (
        "::error title=gradflow%3A config::--set expect=[bad]: expect[0]: expected a mapping such "
        'as {where: {cell: lstm}, horizon: {min: 100}}, found "bad"\n'
    )
    assert err.startswith("--set expect=[bad]: error: expect[0]: ")


def test_what_an_option_asks_for_is_said_to_be_asked_for_there(net, capsys):
    command = ("check", net(MISSED), "--set", "expect[1].horizon.min=50")
    code, out, _ = main(capsys, *command)
    assert code == 1
    assert "missed   --set expect[1].horizon.min=50  horizon at least 50 " in out
    assert "net.yaml:5 " in out
    code, out, _ = main(capsys, "check", net(), "--set", "expect={horizon: 3}")
    assert "missed   --set expect={horizon: 3}  horizon 3 " in out


def test_github_has_a_summary_of_what_can_not_be_checked(net, capsys, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    config = net("expect: [{horizn: 3}, {rate: {min: 2, max: 1}}]\n")
    assert main(capsys, "check", config, "--format", "github")[0] == 2
    title, blank, *faults, last = summary.read_text().split("\n")
    assert (title, blank) == ("### gradflow check: net.yaml: can not be checked", "")
    assert [fault[: fault.index(" error")] for fault in faults[:2]] == [
        "- net.yaml:4:11:",
        "- net.yaml:4:36:",
    ]
    main(capsys, "check", config, "--format", "table")
    assert summary.read_text().endswith(last)
    assert summary.read_text().count("###") == 1


def test_github_shows_a_miss_against_the_baseline_on_the_line_of_the_cell(net, capsys):
    base = baseline(capsys, net(""))
    Path("net.yaml").write_text("# a comment\n" + NET)
    command = ("check", "net.yaml", "--baseline", base, "--format", "github", "--set")
    out = main(capsys, *command, "output_size=3")[1]
    assert out.count("::error file=net.yaml,line=2,title=gradflow%3A within 0.05 decades::") == 2
    out = main(capsys, *command, "cell=gru")[1]
    assert out.count("::error file=net.yaml,line=1,title=") == 3


def test_a_summary_that_can_not_be_written_is_a_warning(net, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.path.join("no", "such", "folder"))
    code, _, err = main(capsys, "check", net(), "--format", "github")
    assert code == 0
    assert "no summary is written" in err


def test_a_baseline_holds_what_made_it_and_tells_what_changed(net, capsys):
    base = baseline(capsys, net(""))
    code, out, _ = main(capsys, "check", "net.yaml", "--baseline", base)
    assert code == 0
    assert "2 runs compared with base.json: 2 as before." in out
    changed = ["--baseline", base, "--set", "bias_scale=[0, 1]"]
    code, out, _ = main(capsys, "check", "net.yaml", *changed)
    assert code == 1
    assert out.count("appeared: no such run in the baseline") == 2
    code, out, _ = main(capsys, "check", "net.yaml", "--baseline", base, "--set", "output_size=3")
    assert code == 1
    assert "decades at lag" in out
    loose = ["--baseline", base, "--set", "output_size=3", "--tolerance", "100"]
    assert main(capsys, "check", "net.yaml", *loose)[0] == 0


def test_a_baseline_is_what_analyze_writes_and_written_whole(net, capsys):
    base = baseline(capsys, net(HELD))
    main(capsys, "analyze", "net.yaml", "--quiet", "--output", "analyzed.json")
    assert Path(base).read_text() == Path("analyzed.json").read_text()
    main(capsys, "check", "net.yaml", "--baseline", base, "--update-baseline", "--set", "seed=7")
    assert [run["seed"] for run in json.loads(Path(base).read_text())["runs"]] == [7, 7]
    assert sorted(os.listdir()) == ["analyzed.json", "base.json", "net.yaml"]


def test_an_update_keeps_to_the_expectations_too(net, capsys):
    command = ("check", net(MISSED), "--baseline", "b.json", "--update-baseline")
    assert main(capsys, *command)[0] == 1
    assert os.path.exists("b.json")


def test_nothing_but_results_is_written_over(net, capsys, tmp_path):
    net()
    for name, text in (("net.json", b"PK\x03\x04"), ("other.json", b'{"a": 1}')):
        (tmp_path / name).write_bytes(text)
        code, _, err = main(capsys, "check", "net.yaml", "--baseline", name, "--update-baseline")
        assert code == 2
        assert "is not written over" in err
        assert (tmp_path / name).read_bytes() == text
    code, _, err = main(capsys, "check", "net.yaml", "--baseline", "net.yaml", "--update-baseline")
    assert code == 2
    assert "which this run reads" in err
    (tmp_path / "cut.json").write_bytes(b'{"gradflow": "0.1.0", "form')
    command = ("check", "net.yaml", "--baseline", "cut.json", "--update-baseline", "--quiet")
    assert main(capsys, *command)[0] == 0


@pytest.mark.parametrize("name", ["base.svg", "base", "base.csv", "base.junit.xml"])
def test_a_baseline_has_the_name_of_results(net, capsys, tmp_path, name):
    command = ("check", net(""), "--baseline", name, "--update-baseline")
    message = f"{name}: error: --baseline: expected the name of results, which ends in .json\n"
    assert main(capsys, *command) == (2, "", message)
    assert not (tmp_path / name).exists()


def test_a_single_run_is_counted_as_one(net, capsys):
    command = ("check", net(""), "--set", "cell=rnn", "--baseline", "b.json")
    assert main(capsys, *command, "--update-baseline", "--quiet")[2] == "wrote b.json: 1 run\n"
    assert main(capsys, *command)[1].endswith("1 run compared with b.json: 1 as before.\n")
    out = main(capsys, "compare", "b.json", "b.json")[1]
    assert out.endswith("\n1 run: 1 within 0.05 decades.\n")


def test_what_is_wrong_with_a_file_that_is_given_twice_is_said_once(net, capsys, tmp_path):
    (tmp_path / "cut.json").write_text('{"gradflow": "0.1.0", "format": 1')
    code, out, err = main(capsys, "compare", "cut.json", "cut.json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("cut.json: error: damaged or cut short")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.json", None, "no such file"),
        ("net.yaml", None, "holds no results"),
        ("cut.json", '{"gradflow": "0.1.0", "format": 1', "damaged or cut short"),
        ("new.json", '{"gradflow": "9", "format": 99}', "newer than this one reads"),
    ],
)
def test_a_baseline_that_is_none_is_an_error(net, capsys, tmp_path, name, text, message):
    net()
    if text is not None:
        (tmp_path / name).write_text(text)
    code, out, err = main(capsys, "check", "net.yaml", "--baseline", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"{name}: error: ")
    assert message in err


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf"])
def test_a_tolerance_is_decades(net, capsys, tolerance):
    command = ("check", net(), f"--tolerance={tolerance}")
    assert main(capsys, *command)[0] == 2
    assert main(capsys, "compare", "a.json", "b.json", f"--tolerance={tolerance}")[0] == 2


def test_an_update_needs_a_baseline(net, capsys):
    code, _, err = main(capsys, "check", net(), "--update-baseline")
    assert (code, err) == (2, "error: --update-baseline: needs --baseline FILE\n")


def test_compare_says_where_each_run_differs_most(net, capsys):
    base = baseline(capsys, net(""))
    main(capsys, "analyze", "net.yaml", "--set", "output_size=3", "--quiet", "--output", "b.json")
    assert main(capsys, "compare", base, base)[0] == 0
    code, out, err = main(capsys, "compare", base, "b.json", "--format", "json")
    assert (code, err) == (1, "")
    found = json.loads(out)
    before, after = gradflow.load_results(base), gradflow.load_results("b.json")
    for run, one, other in zip(found["runs"], before, after, strict=True):
        logs = np.abs(one.flow.state.log10() - other.flow.state.log10())
        (norm,) = [d for d in run["deviations"] if d["name"] == "grad_norm"]
        assert norm["decades"] == pytest.approx(logs.max(), rel=1e-12)
        assert norm["lag"] == logs.argmax()
    code, out, _ = main(capsys, "compare", base, "b.json", "--output", "d.csv", "--tolerance=99")
    assert code == 0
    assert Path("d.csv").read_text().startswith("run_before,run_after,name,held,change,quantity")


def test_compare_tells_of_both_files_that_are_none(net, capsys, tmp_path):
    (tmp_path / "x.json").write_text("3")
    code, out, err = main(capsys, "compare", "gone.json", "x.json")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2


def checkpoints(folder, scales):
    rng = np.random.default_rng(0)
    names = []
    for number, scale in enumerate(scales):
        W_s = scale * np.linalg.qr(rng.standard_normal((6, 6)))[0]
        names.append(str(folder / f"epoch-{number}.npz"))
        bias = np.zeros(6)
        W_x = rng.standard_normal((6, 2)) * 0.1
        np.savez(names[-1], weight_ih_l0=W_x, weight_hh_l0=W_s, bias_ih_l0=bias, bias_hh_l0=bias)
    return names


def test_track_names_the_first_checkpoint_that_misses(tmp_path, capsys):
    config = tmp_path / "t.yaml"
    config.write_text("cell: {type: rnn, activation: linear}\nsequence_length: 20\n")
    names = checkpoints(tmp_path, (1.0, 0.9, 0.5, 0.4))
    command = ("track", config, *names)
    assert main(capsys, *command, "--expect", "rate>=0.3")[0] == 0
    code, out, err = main(capsys, *command, "--expect", "horizon>=15", "--expect", "rate<=1.001")
    assert code == 1
    assert "epoch-3.npz" in out
    assert err.splitlines() == [
        f"{names[2]} is the first to miss horizon at least 15: 10, 5 too small; 2 of 4 miss it"
    ]
    code, out, err = main(capsys, *command, "--expect", "horizn>=3", "--expect", "rate>3")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2


def test_track_says_that_the_first_miss_is_undecided(tmp_path, capsys):
    (tmp_path / "t.yaml").write_text("sequence_length: 9\ncell: {type: rnn, activation: tanh}\n")
    (name,) = checkpoints(tmp_path, (0.9,))
    code, _, err = main(capsys, "track", tmp_path / "t.yaml", name, "--expect", "rate<=3")
    assert code == 1
    assert err.startswith(f"{name} is the first to miss rate at most 3: undecided, 0.")


def test_track_knows_the_places_of_a_bidirectional_net(tmp_path, capsys):
    from gradflow.checks.judge import judge
    from gradflow.config.expect import from_options
    from gradflow.tracking import plan

    rng = np.random.default_rng(1)
    tensors = {}
    for end in ("", "_reverse"):
        tensors[f"weight_ih_l0{end}"] = rng.standard_normal((6, 2))
        tensors[f"weight_hh_l0{end}"] = rng.standard_normal((6, 6)) / 3
        tensors[f"bias_ih_l0{end}"] = tensors[f"bias_hh_l0{end}"] = np.zeros(6)
    np.savez(tmp_path / "both.npz", **tensors)
    (tmp_path / "t.yaml").write_text("cell: {type: rnn, activation: tanh}\nsequence_length: 9\n")
    tracked = plan(tmp_path / "t.yaml", [tmp_path / "both.npz"])
    wanted = from_options(["horizon_l0_reverse>=0", "total_W_s_l0>=0"], tracked.example)
    assert [one.outcome for one in judge(wanted, list(tracked.results()))] == ["held", "held"]


def test_the_library_says_the_same(net, capsys, tmp_path):
    report = gradflow.check(net(MISSED))
    assert not report
    assert re.search("\nheld +net.yaml:5 +verdict vanishing +2 runs +vanishing", str(report))
    base = baseline(capsys, net(""))
    assert gradflow.check("net.yaml", baseline=base)
    config = {"cell": "rnn", "sequence_length": 20, "hidden_size": 8}
    report = gradflow.check({**config, "expect": [{"horizon": {"min": 99}}]})
    assert (report.held, report.judgements[0].outcome) == (False, "missed")
    with pytest.raises(gradflow.InputError, match="nothing is expected"):
        gradflow.check(config)
    with pytest.raises(gradflow.InputError, match="no such file"):
        gradflow.check("net.yaml", baseline=tmp_path / "gone.json")
