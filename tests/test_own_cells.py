"""The user's own cells in a config: inline, in files, registered; options that are lists."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

import gradflow
from command import main
from gradflow.cells import CELLS
from gradflow.config.load import load
from gradflow.equations import compile
from gradflow.errors import InputError
from gradflow.formats import for_screen

MGU = """\
cell:
  type: equations
  name: mine
  state: {h: H}
  parameters: {W_f: [H, I], U_f: [H, H], b_f: H, W_n: [H, I], U_n: [H, H], b_n: H}
  options: {floor: 0.0}
  step: |
    f = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f + floor)
    n = tanh(W_n @ x[t] + U_n @ (f * h[t-1]) + b_n)
    h[t] = (1 - f) * h[t-1] + f * n
sequence_length: 9
hidden_size: 4
"""


def written(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder, text):
    with pytest.raises(gradflow.InputError) as raised:
        load(written(folder, text))
    return [str(fault).replace(f"{folder}/", "") for fault in raised.value.faults]


def curves(results):
    return [result.flow.state.log10() for result in results]


def test_equations_in_a_config_are_those_of_the_cell_that_they_are_of(tmp_path):
    own = gradflow.analyze(load(written(tmp_path, MGU)))
    shipped = gradflow.analyze({"cell": "mgu", "sequence_length": 9, "hidden_size": 4})
    np.testing.assert_allclose(curves(own), curves(shipped), rtol=1e-13)


@pytest.mark.parametrize("name", CELLS)
def test_the_file_of_a_shipped_cell_is_a_cell_of_ones_own(tmp_path, name):
    written(tmp_path, CELLS[name].source, "my.yaml")
    small = "sequence_length: 5\nhidden_size: 3\nbias_scale: 0.3\n"
    (own,) = gradflow.analyze(load(written(tmp_path, f"cell: ./my.yaml\n{small}")))
    (same,) = gradflow.analyze(load(written(tmp_path, f"cell: {name}\n{small}")))
    np.testing.assert_array_equal(own.flow.state.mantissa, same.flow.state.mantissa)


def test_two_cells_of_a_config_do_not_share_a_name(tmp_path):
    other = "name: {}\nstate: {{h: H}}\nparameters: {{W: [H, I]}}\nstep: h[t] = W @ x[t]\n"
    written(tmp_path, other.format("lstm"), "a.yaml")
    for order in ("[lstm, ./a.yaml]", "[./a.yaml, lstm]"):
        (fault,) = faults(tmp_path, f"cell: {order}")
        assert fault == (
            "a.yaml:1:7: error: name: another cell of this config has the name 'lstm': "
            "choose another name"
        )
    changed = load(written(tmp_path, "cell: [gru, ./a.yaml]"))  # a copy that somebody has changed
    assert len(changed.runs) == 2
    written(tmp_path, other.format("mine"), "a.yaml")
    written(tmp_path, other.format("mine").replace("x[t]", "(2 * x[t])"), "b.yaml")
    (fault,) = faults(tmp_path, "cell: [./a.yaml, ./b.yaml]")
    assert fault.startswith("b.yaml:1:7: error: name: another cell of this config has the name")
    written(tmp_path, "about: A copy.\n" + other.format("mine"), "b.yaml")
    assert len(load(written(tmp_path, "cell: [./a.yaml, ./b.yaml]")).runs) == 2


def test_options_that_are_lists_are_swept(tmp_path):
    runs = load(written(tmp_path, MGU.replace("  options:", "  floor: [0, 1.5]\n  options:"))).runs
    assert [run.cell.label for run in runs] == ["mine", "mine[floor=1.5]"]
    text = "cell: [rnn, {type: lstm, forget_bias: [0, 1], activation: [tanh, relu]}]"
    labels = [run.cell.label for run in load(written(tmp_path, text)).runs]
    assert labels == [
        "rnn", "lstm", "lstm[activation=relu]", "lstm[forget_bias=1]",
        "lstm[forget_bias=1 activation=relu]",
    ]  # fmt: skip


def test_mistakes_stand_at_their_place_in_the_file_with_the_line_marked(tmp_path):
    text = MGU.replace("+ b_f + floor", "+ b_g + floor").replace("f * n", "f @ n * q")
    first, *_, last = faults(tmp_path, text)
    assert first.startswith("config.yaml:5:47: error: cell.parameters.b_f: 'b_f' is used nowhere")
    message, line, mark = last.split("\n")
    assert message.startswith("config.yaml:10:39: error: cell.step: unknown name 'q'")
    assert line.strip() == "h[t] = (1 - f) * h[t-1] + f @ n * q"
    assert line[mark.index("^")] == "q"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("name: mine", "nmae: mine"), "3:3: error: cell.nmae: unknown key; did you mean name?"),
        (("state: {h: H}", "state: H"), "cell.state: expected a mapping, such as {h: H}"),
        (("b_f: H,", "b_f: {size: H},"), "cell.parameters.b_f: the key shape is required"),
        (("floor: 0.0", "floor: true"), "expected a number, or a list of names"),
        (("  options", "  flor: 1\n  options"), "cell.flor: unknown key; did you mean floor?"),
        (("type: equations", "type: ./no.yaml"), "no.yaml: no such file"),
        (("type: equations", "type: /dev/zero"), "expected a file, found a device"),
        (("type: equations", "type: ./"), "expected a file, found a folder"),
        (("options: {", "bounds: 3\n  options: {"), "cell.bounds: expected a mapping, such as"),
        (("options: {", "bounds: {flor: {gt: 0}}\n  options: {"), "'flor' is no option"),
        (("options: {", "bounds: {floor: {over: 0}}\n  options: {"), "expected one of gt, ge, lt"),
        (("options: {", "bounds: {floor: {gt: x}}\n  options: {"), "floor.gt: expected a number"),
        (("options: {", "bounds: {floor: {gt: 2}}\n  options: {"), "default 0 is not more than 2"),
        (
            ("options: {", "floor: 9\n  bounds: {floor: {lt: 2}}\n  options: {"),
            "cell.floor: expected less than 2, found 9",
        ),
        (("options: {", "options: {unused: 2, "), "cell.options.unused: 'unused' is used nowhere"),
        (("options: {", "help: {flor: x}\n  options: {"), "cell.help.flor: 'flor' is no option"),
        (("options: {", "help: {floor: 3}\n  options: {"), "cell.help.floor: expected text"),
        (("options: {", "bounds: {floor: 3}\n  options: {"), "bounds.floor: expected a mapping"),
        (
            ("options: {floor: 0.0}", "options: {floor: 1}\n  bounds: {floor: {gt: 0}}"),
            "'floor' is no number with a point, and only such have bounds",
        ),
        (("step: |", "stop: |"), "cell: the key step is required"),
        (("options: {", "gauge: {h: 3}\n  options: {"), "gauge.h: expected parts of the state"),
        (("options: {", "cite: 3\n  options: {"), "cell.cite: expected text"),
        (("b_f: H,", "b_f: {shape: H, role: [a]},"), "b_f.role: expected one of input, recurrent"),
        (
            ("b_f: H,", "b_f: {shape: H, init: uniform(0, 1)},"),
            "error: cell.parameters.b_f.init: a comma ends it here: quote it",
        ),
        (("b_f: H,", "b_f: {shape: H, init: true},"), "b_f.init: expected a name of ws_init"),
        (("b_f: H,", "b_f: [H, I, 2],"), "b_f: expected a size, or two of a matrix"),
        (("name: mine", 'name: "a\\e[31mb"'), "expected a name of at most 60 characters, on one"),
        (("name: mine", 'name: "a\\nb"'), "expected a name of at most 60 characters, on one line"),
    ],
)
def test_a_form_that_is_none_is_told(tmp_path, change, told):
    assert any(told in fault for fault in faults(tmp_path, MGU.replace(*change)))


@pytest.mark.parametrize("text", ["[1, 2]", "cell: 3", "cell: {}"])
def test_a_file_without_a_cell_is_told(tmp_path, text):
    written(tmp_path, text, "my.yaml")
    (told,) = faults(tmp_path, "cell: [./my.yaml, ./my.yaml]")[:1]
    assert "expected a mapping with state, parameters and step in " in told
    assert told.endswith("my.yaml")


IN_A_FILE = MGU[: MGU.index("sequence_length")]
CONSTANT = "constants: {k: {shape: H, init: ones, role: bias}}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("type: equations", "type: lstm"),
            "2:9: error: cell.type: expected equations, or no type: the cell is what is written "
            'here, found "lstm"',
        ),
        (
            ("cell:", "hidden_size: 3\ncell:"),
            "1:1: error: hidden_size: does nothing in the file of a cell, which is what is under "
            "cell",
        ),
        (
            ("options", f"{CONSTANT}\n  options"),
            "6:41: error: cell.constants.k.role: a constant has no gradient, and so no role",
        ),
        (
            ("b_n: H}", "b_n: {shape: H, size: 3}}"),
            "5:92: error: cell.parameters.b_n.size: unknown key; known are shape, init, role",
        ),
    ],
)
def test_what_does_nothing_in_the_file_of_a_cell_is_told(tmp_path, change, told):
    written(tmp_path, IN_A_FILE.replace(*change), "my.yaml")
    assert faults(tmp_path, "cell: ./my.yaml") == [f"my.yaml:{told}"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "lstm"}, "own: error: type: expected equations, or no type"),
        ({"outputs": "h[t]"}, "own: error: outputs: unknown key: did you mean 'output'?"),
        ({"parameters": {"W": {"shape": ["H", "I"], "inti": "ones"}}}, "parameters.W.inti: "),
        ({"constants": {"k": {"shape": "H", "init": 1, "role": "bias"}}}, "constants.k.role: "),
    ],
)
def test_what_does_nothing_in_a_cell_from_code_is_told(change, told):
    plain = {"name": "own", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
             "step": "h[t] = 0.5 * h[t-1] + W @ x[t]"}  # fmt: skip
    with pytest.raises(InputError, match=re.escape(told)):
        gradflow.register({**plain, **change})


def test_what_is_wrong_with_a_cell_from_code_is_told_as_with_any_input():
    cell = {"name": "own", "state": {"h": "H"}, "parameters": {"U": ["H", "H"]},
            "step": "h[t] = Q @ h[t-1]"}  # fmt: skip
    with pytest.raises(InputError) as error:
        gradflow.register(cell)
    assert str(error.value) == (
        "own:1:8: error: step: unknown name 'Q'\n    h[t] = Q @ h[t-1]\n           ^\n"
        "own: error: parameters.U: 'U' is used nowhere in the step"
    )
    with pytest.raises(InputError) as error:
        gradflow.register({})
    assert [fault.key for fault in error.value.faults] == ["state", "parameters"]
    for wrong in (3, [], "", None):
        with pytest.raises(InputError, match="expected a mapping of equations, found"):
            gradflow.register(wrong)


def test_a_product_of_options_is_counted_before_it_is_made(tmp_path):
    many = f"[{', '.join(map(str, range(3000)))}]"
    text = f"cell: {{type: gru, update_bias: {many}, activation: [{', '.join(['tanh'] * 3000)}]}}"
    (fault,) = faults(tmp_path, text)
    assert "expected at most 100,000 combinations of options, found 9,000,000" in fault


def test_thousands_of_values_of_an_option_are_compiled_once_each_at_most(tmp_path, monkeypatch):
    made = []
    emit = compile.emit
    monkeypatch.setattr(compile, "emit", lambda *given: made.append(1) or emit(*given))
    values = ", ".join(str(k / 800) for k in range(1, 800))
    text = MGU.replace("type: equations", f"type: equations\n  floor: [{values}]")
    experiment = load(written(tmp_path, text))
    assert len(experiment.runs) == 799
    assert len(made) <= 2
    assert {cell.typical for cell in (run.cell for run in experiment.runs)} == {
        experiment.runs[0].cell.typical
    }


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 2.0])
def test_a_value_that_equations_are_simplified_by_stands_for_itself_alone(value):
    assert CELLS["rnn"](leak=value).typical == CELLS["rnn"](leak=value)
    assert CELLS["rnn"](leak=0.7).typical == CELLS["rnn"](leak=0.6).typical
    assert CELLS["rnn"](leak=0.7).typical != CELLS["rnn"](leak=-0.7).typical


def test_a_file_is_shown_as_a_cell_of_gradflow_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, CELLS["mgu"].source, "my.yaml")
    for flags in ([], ["--numpy"], ["--format", "json"]):
        shown = [main(capsys, "cells", name, *flags) for name in ("mgu", "./my.yaml")]
        assert shown[0] == shown[1]
        assert shown[0][0] == 0
    code, _, err = main(capsys, "cells", "my.yaml", "--equations")
    assert (code, err) == (2, "error: --equations: my.yaml is the file itself\n")
    written(tmp_path, CELLS["mgu"].source.replace("sigmoid", "sigmiod"), "my.yaml")
    code, _, err = main(capsys, "cells", "my.yaml")
    assert code == 2
    assert "did you mean 'sigmoid'" in err
    bare = "state: {h: H}\nparameters: {W: [H, I]}\nconstants: {k: {shape: 1, init: ones}}\n"
    bare += "step: h[t] = k * (W @ x[t])\n"
    code, out, _ = main(capsys, "cells", written(tmp_path, bare, "bare.yaml"))
    assert code == 0
    assert "\n  parameters: W [H, I]\n  constants: k 1\n" in out
    assert "  \n" not in out
    assert "\n\n\n" not in out


def test_set_gives_a_cell_of_ones_own_an_option(tmp_path):
    written(tmp_path, MGU.split("cell:\n")[1].replace("\n  ", "\n").strip().removeprefix(
        "type: equations").split("sequence")[0], "mgu.yaml")  # fmt: skip
    path = written(tmp_path, "cell: ./mgu.yaml\n")
    (run,) = load(path, ["cell.floor=0.5"]).runs
    assert run.cell.label == "mine[floor=0.5]"


def test_a_registered_cell_has_a_name_in_configs(monkeypatch):
    monkeypatch.setattr(CELLS, "_own", {})
    plain = {"name": "mine", "state": {"h": "H"}, "parameters": {"U": ["H", "H"]},
             "options": {"k": 1.0}, "step": "h[t] = tanh(k * U @ h[t-1] + x[t][0:1])"}  # fmt: skip
    gradflow.register(plain)
    small = {"sequence_length": 4, "hidden_size": 3}
    results = gradflow.analyze(
        {"cell": [{"type": "mine"}, {"type": "mine", "k": [0.5, 2]}], **small}
    )
    assert [r.axes["cell"] for r in results] == ["mine", "mine[k=0.5]", "mine[k=2]"]
    with pytest.raises(InputError, match="lstm is a cell of gradflow already"):
        gradflow.register({**plain, "name": "lstm"})


def test_a_gauge_gives_the_gradient_of_the_true_values():
    parts = {"W_i": ["H", "I"], "U_i": ["H", "H"], "W_z": ["H", "I"], "U_z": ["H", "H"]}
    plain = {
        "type": "equations", "name": "plain", "state": {"h": "H", "c": "H", "n": "H"},
        "parameters": parts,
        "step": "i = exp(W_i @ x[t] + U_i @ h[t-1])\nc[t] = 0.9 * c[t-1] + i * tanh(W_z @ x[t] + "
        "U_z @ h[t-1])\nn[t] = 0.9 * n[t-1] + i\nh[t] = c[t] / n[t]",
    }  # fmt: skip
    scaled = {
        **plain, "name": "scaled", "state": {**plain["state"], "m": "H"},
        "gauge": {"m": ["c", "n"]},
        "step": "i = W_i @ x[t] + U_i @ h[t-1]\nm[t] = max(log(0.9) + m[t-1], i)\n"
        "f = exp(log(0.9) + m[t-1] - m[t])\nc[t] = f * c[t-1] + exp(i - m[t]) * "
        "tanh(W_z @ x[t] + U_z @ h[t-1])\nn[t] = f * n[t-1] + exp(i - m[t])\nh[t] = c[t] / n[t]",
    }  # fmt: skip
    small = {"sequence_length": 12, "hidden_size": 4}
    a, b = gradflow.analyze({"cell": [plain, scaled], **small})
    np.testing.assert_allclose(a.flow.state.log10(), b.flow.state.log10(), rtol=0, atol=1e-12)
    for name in ("W_x", "W_s"):
        np.testing.assert_allclose(
            a.flow.terms[name].log10(), b.flow.terms[name].log10(), rtol=0, atol=1e-12
        )
    assert "m" not in b.flow.parts


INPUT_ONLY = """\
cell:
  type: equations
  name: input_gated
  state: {h: H, m: [H, 2]}
  parameters: {W_z: [H, I], W_n: [H, I], k: 2}
  step: |
    z = sigmoid(W_z @ x[t])
    m[t] = 0.5 * m[t-1] + outer(W_n @ x[t], k)
    h[t] = (1 - z) * h[t-1] + z * sum(m[t])
sequence_length: 6
hidden_size: 3
batch_size: 2
"""


@pytest.mark.parametrize("more", [{}, {"layers": 2}, {"layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("name", for_screen("results"))
def test_a_cell_without_recurrent_weights_is_shown_in_every_format(capsys, tmp_path, name, more):
    path = written(tmp_path, INPUT_ONLY)
    overrides = [f"--set={key}={str(value).lower()}" for key, value in more.items()]
    code, out, err = main(capsys, "analyze", path, "--format", name, *overrides)
    assert (code, err) == (0, "")
    assert "input_gated" in out
    if name == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert {row["grad_W_s"] for row in rows} == {row["share_W_s"] for row in rows} == {""}
        assert all(
            float(row["grad_W_x"]) > 0 for row in rows if row["lag"] == "0" and row["grad_h"]
        )
        assert all(row["grad_m"] for row in rows)


def test_a_mistake_in_a_file_is_told_by_the_name_from_where_the_command_runs(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub", IN_A_FILE.replace("+ floor", "+ roof"), "bad.yaml")
    written(tmp_path / "sub", "cell: ./bad.yaml\n")
    monkeypatch.chdir(tmp_path)
    _, _, err = main(capsys, "analyze", "sub/config.yaml")
    assert "\nsub/bad.yaml:8:51: error: cell.step: unknown name 'roof'" in err
    _, out, _ = main(capsys, "check", "sub/config.yaml", "--format", "github")
    assert "::error file=sub/bad.yaml,line=8," in out
