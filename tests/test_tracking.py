"""`gradflow track`: one experiment on every checkpoint, and what its rows say."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

import gradflow
from command import GRADFLOW, main
from gradflow.cells import GRU, LSTM, RNN
from gradflow.formats import FORMATS
from gradflow.formats.look import Look
from gradflow.formats.tracking import shown_lags
from gradflow.tracking import natural_order, plan
from nets import fused, random_stack

NAMES = {"weight_ih": "W_x", "weight_hh": "W_s", "bias_ih": "b_x", "bias_hh": "b_s"}
SMALL = "sequence_length: 20\nbatch_size: 3\n"
HORIZONS = ["horizon", "horizon_typical", "projected_horizon"]
FACTS = ["verdict", "rate", "rate_low", "rate_high", "half_life", *HORIZONS]


def save(path, cell, seed=0, *, layers=1, directions=1, prefix="", scale=1.0, H=4):
    stack = random_stack(cell, layers=layers, directions=directions, I=3, H=H, seed=seed)
    arrays = {}
    for (layer, direction), p in stack.params.items():
        end = f"_l{layer}" + ("_reverse" if direction else "")
        pairs = zip(NAMES, fused(stack.cells[layer, direction], p), strict=False)
        arrays |= {f"{prefix}{n}{end}": scale * a[0] for n, a in pairs}
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **arrays)


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Four checkpoints of an LSTM in a folder, and a config in another."""
    monkeypatch.chdir(tmp_path)
    for seed, step in enumerate((1, 2, 10, 100)):
        save(tmp_path / "run" / f"ckpt-{step}.npz", LSTM(), seed, prefix="net.")
    (tmp_path / "configs").mkdir()
    np.save(tmp_path / "configs" / "x.npy", np.random.default_rng(0).standard_normal((20, 3)))
    return tmp_path


def config(text, name="configs/c.yaml"):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


CKPTS = [f"run/ckpt-{step}.npz" for step in (100, 10, 1, 2)]
ORDERED = [f"run/ckpt-{step}.npz" for step in (1, 2, 10, 100)]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["c-10", "c-9", "c-1"], ["c-1", "c-9", "c-10"]),
        (["e2/s10", "e10/s1", "e2/s9"], ["e2/s9", "e2/s10", "e10/s1"]),
        (["b", "10", "2", "a"], ["2", "10", "a", "b"]),
        (["c-01", "c-1", "c-001"], ["c-001", "c-01", "c-1"]),
        (["²", "1"], ["1", "²"]),
        (["c-1" + 5000 * "0", "c-0", "c-00"], ["c-0", "c-00", "c-1" + 5000 * "0"]),
    ],
)
def test_names_are_in_natural_order(names, ordered):
    assert sorted(names, key=natural_order) == ordered


@pytest.mark.parametrize(
    "weights",
    ["", "weights: any.npz\n", "weights: {file: ../run/ckpt-1.npz, prefix: net}\n",
     "weights: {file: gone.npz, layer: 0}\n"],
)  # fmt: skip
def test_a_row_is_what_analyze_says_of_the_checkpoint_alone(training, weights):
    """Checkpoints are found from here, the config's own files next to it."""
    path = config(f"{weights}input: {{file: x.npy}}\n")
    tracked = plan(path, CKPTS)
    assert list(tracked.checkpoints) == ORDERED
    results = list(tracked.results())
    assert [result.axes["checkpoint"] for result in results] == ORDERED
    for name, result in zip(ORDERED, results, strict=True):
        alone = {"weights": name, "input": {"file": "configs/x.npy"}}
        (expected,) = gradflow.analyze(alone)
        assert (result.diagnosis, result.loss) == (expected.diagnosis, expected.loss)
        np.testing.assert_array_equal(result.flow.state.log10(), expected.flow.state.log10())
    assert len({result.diagnosis.rate for result in results}) == len(results)


def test_overrides_hold_for_every_checkpoint_but_for_the_file(training):
    path = config(f"weights: any.npz\n{SMALL}")
    overrides = ["weights.prefix=net", "weights.file=other.npz", "ws_scale=0.5"]
    results = list(plan(path, CKPTS, overrides).results())
    assert [result.axes["checkpoint"] for result in results] == ORDERED
    assert {result.axes["ws_scale"] for result in results} == {0.5}


def test_a_sweep_gives_a_row_for_each_checkpoint_and_run(training, capsys):
    path = config(f"ws_scale: [0.5, 1.5]\nseed: [0, 1]\n{SMALL}")
    code, out, err = main(capsys, "track", path, *CKPTS, "--format", "csv")
    assert (code, err) == (0, "")
    found = rows(out)
    assert list(found[0])[:4] == ["checkpoint", "ws_scale", "seed", "verdict"]
    expected = [(c, g, s) for c in ORDERED for g in ("0.5", "1.5") for s in "01"]
    assert [(r["checkpoint"], r["ws_scale"], r["seed"]) for r in found] == expected
    code, out, _ = main(capsys, "track", path, *CKPTS)
    assert all(out.count(f"\nW_s×{g} seed {s}\n") == 1 for g in (0.5, 1.5) for s in (0, 1))
    assert out.count("ckpt-10.npz") == 4


def test_progress_adds_up_to_what_was_promised(training):
    tracked = plan(config(f"ws_scale: [0.5, 1.5]\n{SMALL}"), CKPTS)
    steps = []
    list(tracked.results(steps.append))
    assert sum(steps) == tracked.time_steps == 4 * 2 * 2 * 20


def test_checkpoints_of_different_sizes_are_told_apart(training, capsys):
    save(training / "run" / "wide.npz", LSTM(), H=6)
    path = config(SMALL)
    code, out, _ = main(capsys, "track", path, "run/wide.npz", CKPTS[0], "--format", "csv")
    assert code == 0
    assert [row["hidden_size"] for row in rows(out)] == ["4", "6"]
    assert "\nH=6\n" in main(capsys, "track", path, "run/wide.npz", CKPTS[0])[1]


def test_a_bidirectional_net_shows_the_part_that_its_diagnosis_is_of(training, capsys):
    for seed in range(2):
        save(training / f"b{seed}.npz", GRU(), seed, layers=2, directions=2)
    path = config("sequence_length: 12\n")
    results = list(plan(path, ["b0.npz", "b1.npz"]).results())
    for name, result in zip(("b0.npz", "b1.npz"), results, strict=True):
        (whole,) = gradflow.analyze({"weights": name, "sequence_length": 12})
        part = next(
            p for p in whole.layers
            if (p.layer, p.direction) == (result.axes["layer"], result.axes["direction"])
        )  # fmt: skip
        assert result.diagnosis == part.diagnosis == whole.diagnosis
        np.testing.assert_array_equal(result.flow.state.log10(), part.flow.state.log10())
    out = main(capsys, "track", path, "b0.npz", "b1.npz", "--format", "csv")[1]
    assert list(rows(out)[0])[:3] == ["checkpoint", "layer", "direction"]
    table = main(capsys, "track", path, "b0.npz", "b1.npz")[1]
    assert f"{results[0].axes['layer']} {results[0].axes['direction']}" in table


# Formats


def test_csv_has_the_documented_columns_and_exact_numbers(training, capsys):
    path = config("sequence_length: 150\nbatch_size: 3\n")
    code, out, err = main(capsys, "track", path, *CKPTS, "--format", "csv")
    assert (code, err) == (0, "")
    lags = [0, 1, 10, 100, 150]
    assert out.splitlines()[0].split(",") == [
        "checkpoint", *FACTS, *(f"log10_grad_lag_{lag}" for lag in lags)]  # fmt: skip
    for row, result in zip(rows(out), plan(path, CKPTS).results(), strict=True):
        found = result.diagnosis
        assert row["verdict"] == found.verdict
        low, high = found.rate_ci
        horizons = [getattr(found, name) for name in HORIZONS]
        numbers = [found.rate, low, high, found.half_life, *horizons]
        told = [float(row[name]) if row[name] else None for name in FACTS[1:]]
        assert told == numbers
        logs = result.flow.state.log10()
        assert [float(row[f"log10_grad_lag_{lag}"]) for lag in lags] == logs[lags].tolist()


def test_json_is_strict_and_agrees_with_csv(training, capsys):
    path = config(SMALL + "weights: {file: any.npz, prefix: net}\n")
    table = rows(main(capsys, "track", path, *CKPTS, "--format", "csv")[1])
    code, out, err = main(capsys, "track", path, *CKPTS, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["config"]["weights"] == {"prefix": "net"}
    assert found["lags"] == [0, 1, 10, 20]
    for row, told in zip(table, found["rows"], strict=True):
        assert row["checkpoint"] == told["checkpoint"]
        assert float(row["rate"]) == told["diagnosis"]["rate"]
        assert float(row["log10_grad_lag_20"]) == told["log10_grad_norm"][-1]


@pytest.mark.parametrize(
    ("T", "lags", "expected"),
    [
        (7, "auto", [0, 1, 7]),
        (10, "auto", [0, 1, 10]),
        (1500, "auto", [0, 1, 10, 100, 1000, 1500]),
        (3, "all", [0, 1, 2, 3]),
        (9, (2, 5), [2, 5]),
    ],
)
def test_the_lags_are_those_of_the_config_or_a_handful(training, T, lags, expected):
    results = list(plan(config(f"sequence_length: {T}\nbatch_size: 1\n"), CKPTS[:1]).results())
    assert shown_lags(results, lags) == expected


def test_a_table_fits_the_terminal_and_shows_the_same_numbers(training):
    path = config(SMALL)
    results = list(plan(path, CKPTS).results())
    narrow = "".join(FORMATS["table"].show("tracking", results, Look(width=80)))
    assert max(map(len, narrow.splitlines())) <= 80
    wide = "".join(FORMATS["table"].show("tracking", results, Look(width=200)))
    assert narrow.count("\nckpt-2.npz") == 2
    assert wide.count("\nckpt-2.npz") == 1
    assert "checkpoints in run" in wide
    for text in (narrow, wide):
        for result in results:
            assert f"{result.flow.state.log10()[20]:.2f}" in text
            assert result.diagnosis.verdict in text
        assert "at ckpt-1.npz" in text
        assert "at ckpt-100.npz" in text


def test_a_bar_is_as_long_as_the_horizon_is_of_T(training):
    results = list(plan(config("sequence_length: 60\nbatch_size: 3\n"), CKPTS).results())
    text = "".join(FORMATS["table"].show("tracking", results, Look(width=200)))
    bars = {line.split()[0]: line.count("█") for line in text.splitlines() if "█" in line}
    for result in results:
        horizon = result.diagnosis.horizon or 60
        assert bars[result.axes["checkpoint"].removeprefix("run/")] == int(horizon / 60 * 40)


def test_a_diverged_checkpoint_and_a_name_with_a_comma_leave_the_csv_whole(training, capsys):
    option = "cell={type: rnn, activation: linear}"
    for name, scale in (("a,b.npz", 1.0), ("wild.npz", 1e150)):
        save(training / name, RNN(), scale=scale)
    arguments = ["track", config(SMALL), "a,b.npz", "wild.npz", "--set", option]
    code, out, err = main(capsys, *arguments, "--format", "csv")
    assert code == 0
    assert err.startswith("warning: run 0, checkpoint wild.npz: the forward state left float range")
    first, wild = rows(out)
    assert first["checkpoint"] == "a,b.npz"
    assert wild["verdict"] == "diverged"
    assert set(list(wild.values())[2:]) == {""}
    code, out, err = main(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "diverged" in out
    json.loads(main(capsys, *arguments, "--format", "json")[1], parse_constant=pytest.fail)


def test_output_files_are_in_the_format_of_their_suffix(training, capsys):
    outputs = [word for name in ("o.csv", "o.json", "o.md", "o.txt") for word in ("--output", name)]
    code, out, _ = main(capsys, "track", config(SMALL), *CKPTS, *outputs, "--format", "csv")
    assert code == 0
    assert (training / "o.csv").read_text() == out
    assert len(json.loads((training / "o.json").read_text())["rows"]) == 4
    assert (training / "o.md").read_text().count("\n| run/ckpt-") == 4
    assert "horizon" in (training / "o.txt").read_text()


def test_the_config_can_come_from_standard_input(training):
    ended = subprocess.run(
        [*GRADFLOW, "track", "-", *CKPTS, "--format", "csv"],
        input=SMALL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [row["checkpoint"] for row in rows(ended.stdout)] == ORDERED


# Faults


def test_all_that_is_wrong_is_told_before_any_work(training, capsys, monkeypatch):
    monkeypatch.setattr("gradflow.tracking.execute", lambda *_: pytest.fail("worked"))
    (training / "cut.npz").write_bytes((training / ORDERED[0]).read_bytes()[:300])
    save(training / "gru.npz", GRU())
    names = [*CKPTS, "./run/ckpt-10.npz", "cut.npz", "run", "gone.npz", "gru.npz"]
    path = config(f"{SMALL}cell: lstm\n")
    code, out, err = main(capsys, "track", path, *names, "--output", "o.csv")
    assert (code, out) == (2, "")
    assert not (training / "o.csv").exists()
    lines = err.splitlines()
    assert len(lines) == 5
    assert "run/ckpt-10.npz: error: the same checkpoint is named twice" in lines
    assert "run: error: expected a file, found a folder" in lines
    assert any(line.startswith("cut.npz: error: not a .npz file") for line in lines)
    assert any(line.startswith("gone.npz: error: no such file") for line in lines)
    assert "configs/c.yaml:3:7: error: cell: expected gru, which gru.npz has, found lstm" in lines


def test_what_is_wrong_with_an_expectation_is_told_next_to_the_files(training, capsys):
    path = config(f"{SMALL}cell: lstm\n")
    for more in (["gone.npz"], ["run/ckpt-1.npz", "--set", "foo=3"]):
        code, out, err = main(capsys, "track", path, *more, "--expect", "horizn>=10")
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 2
        assert "--expect horizn>=10: error: horizn: unknown figure; did you mean horizon?" in err


def test_odd_names_are_read_or_refused_by_name(training, capsys):
    odd = ["a: b #.npz", '"q\\".npz', "ünï 1.npz", "two\nlines.npz"]
    for name in odd:
        save(training / name, LSTM())
    code, out, err = main(capsys, "track", config(SMALL), *odd, "--format", "csv")
    assert (code, err) == (0, "")
    shown = [name.replace("\n", "\\n") for name in odd]  # nothing that a terminal would act on
    assert sorted(row["checkpoint"] for row in rows(out)) == sorted(shown)
    (training / "loop.npz").symlink_to("loop.npz")
    missing = ["loop.npz", "9" * 5000, "gone\x1b[31m.npz"]
    code, out, err = main(capsys, "track", config(SMALL), *missing)
    assert (code, out, len(err.splitlines())) == (2, "", 3)
    assert "\x1b" not in err
    assert "Traceback" not in err


def test_many_faults_are_counted(training, capsys):
    code, _, err = main(capsys, "track", config(SMALL), *(f"gone-{i}.npz" for i in range(30)))
    assert (code, len(err.splitlines())) == (2, 21)
    assert "… and 10 more" in err


def test_a_fault_of_the_config_is_told_once(training, capsys):
    code, out, err = main(capsys, "track", config("seeed: 1\n"), *CKPTS)
    assert (code, out) == (2, "")
    assert err == "configs/c.yaml:1:1: error: seeed: unknown key; did you mean seed?\n"


def test_a_checkpoint_without_the_net_that_the_config_names_says_so(training, capsys):
    path = config("weights: {file: any.npz, prefix: nott}\n")
    code, _, err = main(capsys, "track", path, *CKPTS[:1])
    assert code == 2
    expected = "run/ckpt-100.npz: error: no recurrent net is called 'nott'; there are: 'net'\n"
    assert err == expected


def test_a_command_without_checkpoints_is_refused(training, capsys):
    code, out, err = main(capsys, "track", config(SMALL))
    assert code == 2
    assert "CKPT" in out + err
    with pytest.raises(gradflow.InputError, match="at least one checkpoint"):
        plan(config(SMALL), [])


def test_importing_it_needs_no_framework():
    text = "import sys, gradflow.tracking, gradflow.inspection; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_no_format_holds_what_a_terminal_would_act_on(training, capsys):
    name = "\x1b[31m\x9b\u202e.npz"
    save(training / name, LSTM())
    for form in ("table", "csv", "json", "markdown"):
        code, out, err = main(capsys, "track", config(SMALL), name, "--format", form)
        assert (code, err) == (0, "")
        assert all(c.isprintable() or c == "\n" for c in out)
        assert "[31m" in out
