from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow
from command import main
from gradflow.formats import for_files

SMALL = {"sequence_length": 6, "hidden_size": 4, "batch_size": 3, "input_size": 2}


def test_every_public_name_is_there_and_documented():
    assert set(gradflow.__all__) < set(dir(gradflow))
    for name in dir(gradflow):
        value = getattr(gradflow, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert len(inspect.getdoc(value)) > 40, name
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        gradflow.analyse  # noqa: B018


def test_testing_needs_no_import_of_its_own():
    code = "import gradflow; print(gradflow.testing.assert_gradient_flow.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "assert_gradient_flow\n"


@pytest.mark.parametrize("source", ["mapping", "path", "text", "loaded"])
def test_a_config_may_come_in_four_ways(tmp_path, source):
    path = tmp_path / "c.yaml"
    path.write_text("cell: lstm\n" + "".join(f"{k}: {v}\n" for k, v in SMALL.items()))
    config = {
        "mapping": {"cell": "lstm", **SMALL},
        "path": path,
        "text": str(path),
        "loaded": gradflow.load(path),
    }[source]
    [result] = gradflow.analyze(config)
    again = gradflow.analyze({"cell": "lstm", **SMALL})[0]
    np.testing.assert_array_equal(result.flow.state.log10(), again.flow.state.log10())


def test_results_hold_numpy_arrays_of_the_documented_shapes():
    results = gradflow.analyze({"cell": ["rnn", "lstm"], **SMALL})
    assert [r.axes["cell"] for r in results] == ["rnn", "lstm"]
    for result in results:
        assert result.varied == ("cell",)
        assert result.flow.state.floats().shape == result.flow.state.log10().shape == (7,)
        assert set(result.flow.parts) == ({"h"} if result.axes["cell"] == "rnn" else {"h", "c"})
        assert all(term.shape == (6,) for term in result.flow.terms.values())
        assert result.flow.share_W_s.shape == (6,)
        assert set(result.flow.totals) == {"W_x", "W_s", "b_s", "W_o"}
        assert result.flow.relative.floats()[0] == 1


def test_faults_are_raised_and_not_printed(capsys):
    with pytest.raises(gradflow.InputError) as caught:
        gradflow.analyze({"cell": "rnn", "hiden_size": 3, "seed": "x"})
    assert issubclass(gradflow.InputError, gradflow.GradflowError)
    assert sorted(map(str, caught.value.faults)) == [
        "config: error: hiden_size: unknown key; did you mean hidden_size?",
        'config: error: seed: expected a whole number, found "x"',
    ]
    assert capsys.readouterr() == ("", "")


def test_the_example_of_the_package_holds():
    config = {"cell": "lstm", "ws_scale": [0.5, 1.5]}
    results = gradflow.analyze(config)
    assert results[0].diagnosis.verdict == "vanishing"
    assert repr(config["cell"]).strip("'") in gradflow.__doc__


def test_verify_checks_one_run():
    [run] = gradflow.load({"cell": "gru", **SMALL}).runs
    verification = gradflow.verify(run)
    assert verification.comparisons
    assert all(c.holds for c in verification.comparisons)


def test_the_library_needs_no_command():
    script = (
        "import sys, gradflow\n"
        "gradflow.analyze({'cell': 'rnn', 'sequence_length': 3})\n"
        "print(*({'typer', 'rich'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("\n", "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("lstm", r'lstm: error: no such file; a cell is given as \{"cell": "lstm"\}'),
        ("nothing.yaml", "nothing.yaml: error: no such file"),
        (["rnn", "lstm"], r"expected a path, YAML text or a mapping such as .*, found a list"),
        (None, "found a NoneType"),
    ],
)
def test_what_is_no_config(config, message):
    for call in (gradflow.analyze, gradflow.load, gradflow.check, gradflow.explain):
        with pytest.raises(gradflow.InputError, match=message):
            call(config)


def test_every_call_takes_weights_and_input():
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (5, 2), "weight_hh_l0": (5, 5), "bias_ih_l0": 5, "bias_hh_l0": 5}
    state = {f"rnn.{name}": rng.normal(size=shape) for name, shape in shapes.items()}
    given = {"weights": state, "input": rng.normal(size=(30, 2))}
    config = {"cell": {"type": "rnn", "activation": "tanh"}, "expect": {"loss": {"max": 1000}}}
    [result] = gradflow.analyze(config, **given)
    assert (result.axes["hidden_size"], result.sequence_length) == (5, 30)
    [explanation] = gradflow.explain(config, advice=False, **given)
    assert explanation.result.diagnosis == result.diagnosis
    [verification] = gradflow.verify(config, **given)
    assert verification.run.hidden_size == 5
    [critical] = gradflow.critical(config, **given)
    assert critical.run.sequence_length == 30
    check = gradflow.check(config, **given)
    assert [one.value for one in check.judgements] == [result.loss]


def _engine(**changed):
    R, N, I, H = 2, 3, 4, 5  # noqa: E741
    given = {"W": np.ones((R, H, I)), "U": np.ones((R, H, H)) / 9, "b": np.zeros((R, H)),
             "x": np.ones((6, R, N, I)), "s0": np.zeros((R, N, H))} | changed  # fmt: skip
    x, s0 = given.pop("x"), given.pop("s0")
    params = {name: value for name, value in given.items() if value is not None}
    return gradflow.unroll(gradflow.CELLS["rnn"], params, x, s0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"b": None}, "b: missing among params, W, U"),
        ({"c": np.ones(2)}, "c: no parameter of this cell; the cell has W, U, b"),
        ({"W_": np.ones(2)}, r"W_: no parameter of this cell; did you mean W\?"),
        ({"U": np.ones((2, 5, 6))}, r"U: expected .* shape \(2, 5, 5\), found .* \(2, 5, 6\)"),
        ({"W": np.ones((5, 4))}, r"W: expected .* shape \(2, 5, 4\), found .* \(5, 4\)"),
        ({"W": "text"}, "params: "),
        (
            {"x": np.ones((6, 3, 4))},
            r"x: expected \(T, R, N, I\), at least 1 each, found \(6, 3, 4\)",
        ),
        ({"x": np.ones((0, 2, 3, 4))}, "at least 1 each"),
        ({"x": np.ones((6, 2, 3, 7))}, r"W: expected .* shape \(2, 5, 7\)"),
        ({"s0": np.zeros((2, 3, 9))}, r"s0: expected .* shape \(2, 3, 5\), found .* \(2, 3, 9\)"),
        ({"b": np.zeros((2, 5), complex)}, "b: expected numbers .*, found complex128"),
        ({"b": np.full((2, 5), np.nan)}, r"b: expected finite numbers, found nan at \[0, 0\]"),
        ({"x": np.full((6, 2, 3, 4), -np.inf)}, r"x: expected finite numbers, found -inf at \[0"),
        ({"s0": np.full((2, 3, 5), np.nan)}, "s0: expected finite numbers, found nan"),
    ],
)
def test_the_engine_says_what_does_not_fit(changed, message):
    with pytest.raises(gradflow.InputError, match=message):
        _engine(**changed)


def test_no_gradient_goes_back_that_is_no_number():
    trajectory = _engine()
    ds_T = np.ones(trajectory.last.shape)
    ds_T[1, 2, 3] = np.nan
    with pytest.raises(gradflow.InputError, match=r"ds_T: expected finite .* nan at \[1, 2, 3\]"):
        gradflow.backpropagate(trajectory, ds_T)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_text_is_a_config_that_says_nothing(text):
    with pytest.raises(gradflow.InputError, match="config:1:1: error: expected `key: value` lines"):
        gradflow.analyze(text)


def test_the_engine_takes_lists_whole_numbers_and_no_state():
    plain = _engine()
    same = {"s0": None, "b": np.zeros((2, 5), int), "x": np.ones((6, 1, 3, 4)).tolist()}
    for name, value in same.items():
        np.testing.assert_array_equal(_engine(**{name: value}).last, plain.last)
    assert repr(plain) == "<Trajectory: rnn, T=6, R=2, N=3, H=5>"
    with pytest.raises(gradflow.InputError, match=r"ds_T: expected .* shape \(2, 3, 5\)"):
        gradflow.backpropagate(plain, np.ones((2, 3, 6)))
    [flow, _] = gradflow.backpropagate(plain, np.ones((2, 3, 5), int))
    assert flow.state.shape == (7,)


def test_a_net_and_an_array_may_stand_in_the_config():
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (5, 2), "weight_hh_l0": (5, 5), "bias_ih_l0": 5, "bias_hh_l0": 5}
    state = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    x = rng.normal(size=(30, 2))
    cell = {"cell": {"type": "rnn", "activation": "tanh"}}

    class Net:
        def state_dict(self):
            return state

    [apart] = gradflow.analyze(cell, weights=state, input=x)
    for config in ({**cell, "weights": state, "input": x}, {**cell, "weights": Net(), "input": x},
                   {**cell, "weights": state, "input": x.tolist()}):  # fmt: skip
        [result] = gradflow.analyze(config)
        np.testing.assert_array_equal(result.flow.state, apart.flow.state)
    check = gradflow.check({**cell, "weights": state, "input": x, "expect": {"loss": {"min": 0}}})
    assert check.judgements[0].value == apart.loss
    [other] = gradflow.analyze({**cell, "weights": state, "input": x}, input=2 * x)
    assert other.loss != apart.loss
    for net in (Net(), state):
        with pytest.raises(gradflow.InputError, match="a net goes in weights: analyze"):
            gradflow.analyze(net)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (3, "expected a path, YAML text or a mapping .*, found a int"),
        ("lstm", 'no such file; a cell is given as {"cell": "lstm"}'),
        ("cell: [", "config:1:"),
    ],
)
def test_what_is_no_config_says_what_is_one(config, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gradflow.InputError, match=told):
        gradflow.analyze(config)


def test_a_check_shows_and_saves_itself_as_the_command_does(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("cell: rnn\nsequence_length: 20\nexpect: {horizon: {min: 50}}\n")
    check = gradflow.check("net.yaml")
    assert repr(check) == "<Check: 1 figure: 1 missed>"
    assert not check
    names = [f"own{suffix}" for suffix in for_files("check")]
    assert len(names) >= 5
    for name in names:
        check.save(name)
    outputs = [word for name in names for word in ("-o", name.replace("own", "theirs"))]
    code, out, _ = main(capsys, "check", "net.yaml", "-f", "markdown", *outputs)
    assert (code, check._repr_markdown_()) == (1, out)
    for name in names:
        assert Path(name).read_bytes() == Path(name.replace("own", "theirs")).read_bytes(), name
    with pytest.raises(gradflow.InputError, match=r"csv cannot show a check: .*\.junit\.xml"):
        check.save("own.csv")


NUMPY_CONFIGS = [
    {"cell": np.str_("rnn")},
    {"cell": np.array("rnn")},
    {"cell": np.array(["rnn", "gru"])},
    {"cell": np.str_("rnn"), "hidden_size": np.int64(8), "ws_scale": np.linspace(0.5, 1, 2)},
    {"cell": "rnn", "input": np.str_("zeros")},
    {"cell": np.str_("rnn"), "input": np.array("zeros")},
    {"cell": np.str_("rnn"), "seed": np.arange(2), "input": np.ones((6, 2))},
]


@pytest.mark.parametrize("config", NUMPY_CONFIGS)
def test_a_config_of_numpy_values_is_no_net(config):
    plain = {name: value.tolist() if hasattr(value, "dtype") else value
             for name, value in config.items()}  # fmt: skip
    assert gradflow.load(config).config == gradflow.load(plain).config
    results = gradflow.testing.assert_gradient_flow(config, loss=(None, 1e9))
    assert len(results) == len(gradflow.load(plain).runs)
    without = {name: value for name, value in config.items() if name == "hidden_size"}
    if without:
        with pytest.raises(gradflow.InputError, match="cell"):
            gradflow.load(without)
