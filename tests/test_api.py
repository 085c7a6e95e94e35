from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import gradflow

SMALL = {"sequence_length": 6, "hidden_size": 4, "batch_size": 3, "input_size": 2}


def test_every_public_name_is_there_and_documented():
    assert set(gradflow.__all__) == set(dir(gradflow))
    for name in gradflow.__all__:
        value = getattr(gradflow, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert len(inspect.getdoc(value)) > 40, name
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        gradflow.analyse  # noqa: B018


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
