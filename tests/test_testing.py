"""`assert_gradient_flow`: what holds, what fails and how it says so; parameters in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow
from gradflow.pytest_plugin import GradientFlow
from gradflow.testing import assert_gradient_flow, save
from gradflow.weights.given import given

LINEAR = {
    "cell": {"type": "rnn", "activation": "linear"},
    "ws_init": "orthogonal",
    "sequence_length": 40,
    "hidden_size": 6,
}


def rnn(scale=0.9, bias=True, dtype=np.float64):
    rng = np.random.default_rng(3)
    parts = {
        "weight_ih_l0": rng.standard_normal((6, 2)),
        "weight_hh_l0": scale * np.linalg.qr(rng.standard_normal((6, 6)))[0],
    }
    if bias:
        parts |= {"bias_ih_l0": np.zeros(6), "bias_hh_l0": np.zeros(6)}
    return {name: value.astype(dtype) for name, value in parts.items()}


class Tensor:
    """As much of a torch tensor as is asked for."""

    def __init__(self, array, dtype):
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def detach(self):
        return Tensor(self.array, self.dtype)

    cpu = detach

    def float(self):
        return Tensor(self.array, "torch.float32")

    def numpy(self):
        if self.dtype == "torch.bfloat16":
            raise TypeError("got unsupported ScalarType BFloat16")
        return self.array


class Module:
    """As much of a torch module as is asked for."""

    def __init__(self, dtype="torch.float64"):
        self.mode, self.dtype = "RNN_TANH", dtype

    def state_dict(self):
        tensors = {name: Tensor(a, self.dtype) for name, a in rnn(dtype=np.float32).items()}
        return {**tensors, "steps": 3}

    def named_modules(self):
        return [("", self)]


def test_what_holds_gives_the_results():
    [result] = assert_gradient_flow({**LINEAR, "ws_scale": 0.9}, rate=(0.89, 0.91), horizon=20)
    assert result.diagnosis.rate == pytest.approx(0.9, rel=1e-9)


@pytest.mark.parametrize("source", ["path", "text", "results", "result", "loaded"])
def test_a_subject_comes_in_many_ways(tmp_path, source):
    path = tmp_path / "c.yaml"
    path.write_text("cell: {type: rnn, activation: linear}\nsequence_length: 10\n")
    results = gradflow.analyze(path)
    subject = {
        "path": path,
        "text": str(path),
        "results": results,
        "result": results[0],
        "loaded": gradflow.load(path),
    }[source]
    assert len(assert_gradient_flow(subject, horizon=1)) == 1


@pytest.mark.parametrize(
    "expected",
    [
        {"horizon": 60, "rate": (0.3, 0.6)},
        {"rate": (0.9, None)},
        {"verdict": "stable"},
        {"verdict": ["stable", "exploding"]},
        {"verdict": {"stable"}},
        {"relative": {"lag": 3, "min": 0.5}},
        {"half_life": 20},
        {"horizon": {"max": 3}},
        {"rate": (None, 0.4), "where": {"cell": "rnn"}},
    ],
)
def test_what_does_not_fails_and_shows_the_curve(expected):
    config = {**LINEAR, "ws_scale": 0.5}
    with pytest.raises(AssertionError) as caught:
        assert_gradient_flow(config, **expected)
    lines = str(caught.value).splitlines()
    assert f"; {len(expected.keys() - {'where'})} figure" in lines[0]
    missed = lines[1].removeprefix("  missed     ")
    assert lines[0].startswith(f"gradient flow: {missed.partition(':')[0]}: ")
    assert lines[1].startswith("  missed     ")
    assert "    0  1.00       ████████████████████████" in lines
    assert len(lines) <= 20


def test_the_message_says_what_was_wanted_got_and_by_how_much():
    with pytest.raises(AssertionError) as caught:
        assert_gradient_flow({**LINEAR, "ws_scale": 0.5}, horizon=60, rate=(0.3, 0.6))
    lines = str(caught.value).splitlines()
    assert lines[:3] == [
        "gradient flow: horizon at least 60: 10; 2 figures: 1 held, 1 missed.",
        "  missed     horizon at least 60: rnn[activation=linear]: 10 (50 too small)",
        "  held       rate 0.3 to 0.6: rnn[activation=linear]: 0.5 (0.5 to 0.5)",
    ]


@pytest.mark.parametrize("form", ["path", "mapping", "weights", "module"])
def test_what_the_config_itself_expects_is_held_too(tmp_path, form):
    path = tmp_path / "exp.yaml"
    path.write_text("cell: rnn\nsequence_length: 9\nexpect:\n  horizon: {max: 0}\n")
    config = {"sequence_length": 9, "expect": {"horizon": {"max": 0}}}
    subject, more = {
        "path": (path, {}),
        "mapping": ({"cell": "rnn", **config}, {}),
        "weights": (config, {"weights": Module()}),
        "module": (Module(), {"config": config}),
    }[form]
    for asked in ({}, {"horizon": 1}):
        with pytest.raises(AssertionError, match="gradient flow: horizon at most 0") as caught:
            assert_gradient_flow(subject, **more, **asked)
        lines = str(caught.value).splitlines()
        assert f"{1 + len(asked)} figure" in lines[0]
        assert lines[1].startswith("  missed     " + f"{path}:4: " * (form == "path") + "horizon ")


def test_what_is_wrong_with_the_expectations_of_a_config_is_told():
    with pytest.raises(gradflow.InputError, match=r"expect\.horizn: unknown figure"):
        assert_gradient_flow({**LINEAR, "expect": {"horizn": 3}}, horizon=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda path: assert_gradient_flow(LINEAR, horizn=3),
        lambda path: assert_gradient_flow({"cell": "lsmt"}, horizon=3),
        lambda path: assert_gradient_flow(LINEAR, rate=0.5),
        lambda path: assert_gradient_flow({"weight": np.eye(3)}, horizon=3),
        lambda path: assert_gradient_flow(LINEAR, baseline=path),
        lambda path: GradientFlow(path.parent, "t", False)(LINEAR),
        lambda path: GradientFlow(path.parent, "t", True)({"cell": "lsmt"}),
    ],
)
def test_a_traceback_of_what_is_wrong_ends_at_the_line_that_asked(tmp_path, call):
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(gradflow.InputError) as caught:
        call(tmp_path / "t.json")
    ours = caught.traceback[2:]
    assert 1 <= len(ours) <= 2
    assert all(entry.ishidden(caught) for entry in ours)
    assert caught.value.__suppress_context__


def test_undecided_fails_unless_it_is_allowed():
    config = {"cell": "rnn", "sequence_length": 5}
    with pytest.raises(AssertionError, match=r"undecided  rate at least 0.1"):
        assert_gradient_flow(config, rate=(0.1, None))
    assert_gradient_flow(config, rate=(0.1, None), allow_undecided=True)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"horizn": 3}, "horizn: unknown figure; did you mean horizon?"),
        ({"rate": 0.9}, r"rate: expected \(least, most\), such as \(0.98, None\), found 0.9"),
        ({"rate": (1, 2, 3)}, r"rate: expected \(least, most\), found 3 values"),
        ({"rate": (2, 1)}, "are they swapped"),
        ({"rate": (None, None)}, "expected a number, or a mapping"),
        ({"relative": {"min": 1}}, "add the lag"),
        ({"verdict": "fine"}, "expected vanishing or exploding"),
        ({"horizon": 3, "where": {"cel": "rnn"}}, "did you mean cell"),
        ({"horizon": 3, "where": {"cell": "gru"}}, "matches no run"),
        ({"horizon": float("nan")}, "expected a number, found .nan"),
        ({}, "nothing is expected"),
    ],
)
def test_what_is_asked_wrongly_is_told(expected, message):
    with pytest.raises(gradflow.InputError, match=message):
        assert_gradient_flow(LINEAR, **expected)
    if expected:
        with pytest.raises(gradflow.InputError, match=message):
            assert_gradient_flow(gradflow.analyze(LINEAR), **expected)


@pytest.mark.parametrize("subject", [[], [3], ["a.yaml"]])
def test_a_list_of_other_things_is_no_subject(subject):
    with pytest.raises(gradflow.InputError, match="found a list of other things"):
        assert_gradient_flow(subject, horizon=3)


def test_a_state_dict_is_run_with_a_config():
    more = {"cell": {"type": "rnn", "activation": "linear"}, "sequence_length": 30}
    [result] = assert_gradient_flow(rnn(0.9), rate=(0.9 - 1e-9, 0.9 + 1e-9), config=more)
    assert result.axes["hidden_size"] == 6
    assert result.axes["ws_init"] == "trained"
    again = gradflow.analyze(more, weights=rnn(0.9))
    np.testing.assert_array_equal(result.flow.state.log10(), again[0].flow.state.log10())


def test_weights_go_with_a_config_in_a_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("cell: {type: rnn, activation: linear}\nsequence_length: 30\n")
    assert_gradient_flow(path, weights=rnn(0.7), rate=(0.7 - 1e-9, 0.7 + 1e-9))
    np.savez(tmp_path / "w.npz", **rnn(0.7))
    for weights in (tmp_path / "w.npz", str(tmp_path / "w.npz")):
        [result] = gradflow.analyze(path, weights=weights)
        assert result.diagnosis.rate == pytest.approx(0.7)


@pytest.mark.parametrize("dtype", ["torch.float64", "torch.bfloat16"])
def test_a_module_is_read_through_its_state_dict_and_tells_its_activation(dtype):
    [result] = assert_gradient_flow(Module(dtype), horizon=1, config={"sequence_length": 10})
    assert result.axes["cell"] == "rnn"
    tensors = given(Module(dtype))
    np.testing.assert_array_equal(tensors["weight_hh_l0"], rnn(dtype=np.float32)["weight_hh_l0"])
    assert set(tensors) == set(rnn())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (3, "expected a module or a state dict of arrays, found a int"),
        ({}, "holds no arrays"),
        ({"a": 3}, "holds no arrays"),
        ({**rnn(), "weight_hh_l0": np.array([["a"] * 6] * 6)}, "holds no numbers"),
    ],
)
def test_weights_that_are_none_are_told(weights, message):
    more = {"cell": {"type": "rnn", "activation": "linear"}}
    with pytest.raises(gradflow.InputError, match=message):
        gradflow.analyze(more, weights=weights)


def test_weights_and_a_config_stand_where_they_have_a_meaning():
    with pytest.raises(gradflow.InputError, match="not with what is loaded already"):
        gradflow.analyze(gradflow.load(LINEAR), weights=rnn())
    with pytest.raises(gradflow.InputError, match="`config` goes with a module"):
        assert_gradient_flow(LINEAR, horizon=3, config={})


def test_results_are_held_to_a_baseline(tmp_path):
    path = tmp_path / "b.json"
    experiment = gradflow.load({**LINEAR, "thresholds": {"vanishing": 0.1, "exploding": 10.0}})
    results = gradflow.analyze(experiment)
    save(path, results, experiment)
    assert_gradient_flow(experiment, baseline=path, tolerance=0.0)
    assert_gradient_flow(results, baseline=path, tolerance=0.0)
    changed = {**LINEAR, "output_size": 3}
    with pytest.raises(AssertionError, match=r"missed     within 0.05 decades: .* decades"):
        assert_gradient_flow(changed, baseline=path)
    save(tmp_path / "alone.json", results, None)
    assert_gradient_flow(results, baseline=tmp_path / "alone.json", tolerance=0.0)


def test_nothing_of_torch_is_imported(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from gradflow.testing import assert_gradient_flow\n"
        "assert_gradient_flow({'cell': 'rnn', 'sequence_length': 3}, horizon=1)\n"
        "print(*{'torch', 'typer', 'pytest'} & set(sys.modules))\n"
    )
    folder = Path(gradflow.__file__).parent.parent
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=folder,
                           env={"PYTHONPATH": str(folder)}, check=False)  # fmt: skip
    assert (ended.stdout, ended.stderr) == ("\n", "")


@pytest.mark.parity
def test_torch_modules_are_read():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.LSTM(3, 8, num_layers=2, bidirectional=True)
    [result] = assert_gradient_flow(net, horizon=1, config={"sequence_length": 10})
    assert (result.axes["layers"], result.axes["bidirectional"]) == (2, True)
    relu = torch.nn.RNN(3, 8, nonlinearity="relu").to(torch.bfloat16)
    [result] = gradflow.analyze({"sequence_length": 10}, weights=relu)
    assert result.axes["cell"] == "rnn[activation=relu]"


def test_the_curve_of_a_bidirectional_net_is_that_of_its_part_that_first_leaves():
    net = {"cell": "rnn", "bidirectional": True, "ws_scale": 0.5, "sequence_length": 20}
    with pytest.raises(AssertionError, match=r"layer 0 direction \w+: gradient over that at lag 0"):
        assert_gradient_flow(net, horizon=19)


def test_a_series_takes_the_place_of_the_input():
    rng = np.random.default_rng(0)
    state = {"weight_ih_l0": rng.normal(size=(4, 2)), "weight_hh_l0": rng.normal(size=(4, 4)) / 2,
             "bias_ih_l0": np.zeros(4), "bias_hh_l0": np.zeros(4)}  # fmt: skip
    series, tanh = rng.normal(size=(30, 2)), {"cell": {"type": "rnn", "activation": "tanh"}}
    [own] = gradflow.analyze(tanh, weights=state, input=series)
    [result] = assert_gradient_flow(state, config=tanh, input=series, loss=(own.loss, own.loss))
    assert result.sequence_length == 30


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"config": {**LINEAR, "expect": {"horizon": {"min": 3000}}}}, "`config`: not with resu"),
        ({"config": {}, "weights": {"a": 1}, "input": "x"}, "`config`, `weights`, `input`: not "),
    ],
)
@pytest.mark.parametrize("many", [True, False])
def test_nothing_that_is_run_goes_with_results(tmp_path, more, message, many):
    results = gradflow.analyze(LINEAR)
    subject = results if many else results[0]
    for call in (assert_gradient_flow, GradientFlow(tmp_path, "t", True)):
        with pytest.raises(gradflow.InputError, match=message):
            call(subject, horizon=3, **more)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tolerance", [np.inf, np.nan, -1, "x", None, True])
def test_a_tolerance_is_decades_from_0(tmp_path, tolerance):
    results = gradflow.analyze(LINEAR)
    save(tmp_path / "b.json", results, None)
    for call in (
        lambda: assert_gradient_flow(results, baseline=tmp_path / "b.json", tolerance=tolerance),
        lambda: GradientFlow(tmp_path, "b", False)(results, tolerance=tolerance),
        lambda: gradflow.check(LINEAR, baseline=results, tolerance=tolerance),
    ):
        with pytest.raises(gradflow.InputError, match="tolerance: expected decades from 0, found"):
            call()


def test_thresholds_are_bounds_on_either_side_of_1_of_results_and_a_baseline(tmp_path):
    results = gradflow.analyze(LINEAR)
    path = tmp_path / "b.json"
    save(path, results, None)
    assert_gradient_flow(results, baseline=path, thresholds=(1e-3, 1e3))
    for wrong in (("a",), (1e3, 1e-3), (0.1, np.inf), 3, ("a", "b"), (0.1, 2, 3)):
        with pytest.raises(gradflow.InputError, match=r"thresholds: expected \(below 1, above 1\)"):
            assert_gradient_flow(results, baseline=path, thresholds=wrong)
    for subject, more in ((LINEAR, {"baseline": path}), (results, {"horizon": 1})):
        with pytest.raises(gradflow.InputError, match="thresholds: go with results and a baseline"):
            assert_gradient_flow(subject, thresholds=(1e-3, 1e3), **more)
    with pytest.raises(gradflow.InputError, match="where: goes with a figure"):
        assert_gradient_flow(results, baseline=path, where={"cell": "rnn"})


def test_an_update_writes_nothing_where_anything_is_wrong_nor_over_other_files(tmp_path):
    wrong = ({"horizn": 3}, {"tolerance": -1}, {"horizon": 3, "where": {"cell": "gru"}})
    for more in wrong:
        flow = GradientFlow(tmp_path / "new", "t", True)
        with pytest.raises(gradflow.InputError):
            flow(LINEAR, **more)
        assert flow.written == []
    assert not (tmp_path / "new").exists()
    (tmp_path / "t.json").write_text('{"a": 1}')
    with pytest.raises(gradflow.InputError, match=r"t\.json: .*is not written over"):
        GradientFlow(tmp_path, "t", True)(LINEAR)
    gradflow.check({**LINEAR, "expect": {"horizon": {"min": 1}}}).save(tmp_path / "c.json")
    with pytest.raises(gradflow.InputError, match=r"c\.json: .*is not written over"):
        GradientFlow(tmp_path, "c", True)(LINEAR)
    assert (tmp_path / "t.json").read_text() == '{"a": 1}'
    with pytest.raises(AssertionError, match="rate at least 2"):
        GradientFlow(tmp_path, "m", True)(LINEAR, rate=(2, None))
    assert GradientFlow(tmp_path, "m", False)(LINEAR)
