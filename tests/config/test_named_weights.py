"""`weights: {file:, parameters:}`: a tensor for each parameter that a cell declares."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import gradflow
from command import main
from gradflow.cells import CELLS
from gradflow.config.load import load
from gradflow.runs.sampling import parameters

H, I = 4, 3  # noqa: E741

MGU = """\
name: mine
state: {h: H}
parameters:
  {W_f: [H, I], U_f: [H, H], b_f: {shape: H, init: drawn + bias}, W_n: [H, I], U_n: [H, H], b_n: H}
constants: {k: {shape: H, init: ones}}
options: {floor: 0.0, bias: 0.0}
step: |
  f = floor + (1 - floor) * sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
  n = tanh(W_n @ x[t] + U_n @ (f * h[t-1]) + b_n)
  h[t] = (1 - f) * h[t-1] + k * f * n
"""
CONFIG = """\
cell: ./mgu.yaml
sequence_length: 6
batch_size: 2
weights:
  file: w.npz
  parameters:
    W_f: "rnn.kernel[:, 0:4].T"
    W_n: "rnn.kernel.T[4:8]"
    U_f: "rnn.weight_hh[0:4]"
    U_n: "rnn.weight_hh[4:]"
    b_f: "bias[0, 0:4]"
    b_n: "bias[0][4:8]"
"""
LAYERS = """\
cell: indrnn
sequence_length: 6
batch_size: 2
layers: 2
bidirectional: true
weights:
  file: deep.npz
  parameters: {W: "W_l{layer}{reverse}", u: "u[{layer}]", b: "{direction}/{layer}.b"}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with `w.npz`, a layer of mgu as frameworks lay it out, and `deep.npz`, two layers
    in both directions."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    shapes = {
        "rnn.kernel": (I, 2 * H), "rnn.weight_hh": (2 * H, H), "bias": (2, 2 * H),
        "head.kernel": (H, 5), "odd[1].T": (H, H), "k": (H,),
    }  # fmt: skip
    np.savez("w.npz", **{name: rng.standard_normal(shape) for name, shape in shapes.items()})
    deep = {"u": rng.standard_normal((2, H))}
    for layer, width in ((0, I), (1, 2 * H)):
        for way, end in (("forward", ""), ("reverse", "_reverse")):
            deep[f"W_l{layer}{end}"] = 0.4 * rng.standard_normal((H, width))
            deep[f"{way}/{layer}.b"] = rng.standard_normal(H)
    np.savez("deep.npz", **deep)
    (tmp_path / "mgu.yaml").write_text(MGU, encoding="utf-8")
    return tmp_path


def written(text, *changes):
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with open("c.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    return "c.yaml"


def faults(text, *changes):
    with pytest.raises(gradflow.InputError) as caught:
        load(written(text, *changes))
    return [str(fault) for fault in caught.value.faults]


def test_each_parameter_is_the_tensor_that_is_named(folder):
    (run,) = load(written(CONFIG)).runs
    assert (run.hidden_size, run.input_size, run.ws_init, run.wx_init) == (H, I, *["trained"] * 2)
    with np.load("w.npz") as file:
        expected = {
            "W_f": file["rnn.kernel"].T[:4], "W_n": file["rnn.kernel"].T[4:],
            "U_f": file["rnn.weight_hh"][:4], "U_n": file["rnn.weight_hh"][4:],
            "b_f": file["bias"][0, :4], "b_n": file["bias"][0, 4:], "k": np.ones(H),
        }  # fmt: skip
    (found,) = parameters(run).values()
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_constant_may_come_from_the_file_too_and_a_name_may_look_like_rows(folder):
    text = written(
        CONFIG, ("  parameters:", "  parameters:\n    k: k"), ("rnn.weight_hh[0:4]", "odd[1].T")
    )
    (run,) = load(text).runs
    with np.load("w.npz") as file:
        np.testing.assert_array_equal(parameters(run)[0, 0]["k"], file["k"])
        np.testing.assert_array_equal(parameters(run)[0, 0]["U_f"], file["odd[1].T"])


def test_a_net_of_ones_own_is_that_of_the_shipped_cell_with_the_same_values(folder):
    own = load(written(CONFIG)).runs
    shipped = load(written(CONFIG, ("./mgu.yaml", "mgu"))).runs
    a, b = gradflow.analyze(load("c.yaml")), gradflow.analyze(load(written(CONFIG)))
    np.testing.assert_allclose(a[0].flow.state.log10(), b[0].flow.state.log10(), rtol=1e-12)
    assert {run.cell.name for run in (*own, *shipped)} == {"mine", "mgu"}


def test_an_init_has_no_part_in_the_values_and_scales_have(folder):
    (folder / "mgu.yaml").write_text(
        MGU.replace("W_f: [H, I]", "W_f: {shape: [H, I], init: 3 * drawn}"), encoding="utf-8"
    )
    one, half = load(written(CONFIG, ("sequence", "ws_scale: [1, 0.5]\nsequence"))).runs
    with np.load("w.npz") as file:
        for run in (one, half):
            np.testing.assert_array_equal(parameters(run)[0, 0]["W_f"], file["rnn.kernel"].T[:4])
    np.testing.assert_array_equal(parameters(half)[0, 0]["U_f"], 0.5 * parameters(one)[0, 0]["U_f"])


def test_options_are_swept_and_all_hold_against_complex_steps(folder):
    text = written(CONFIG, ("./mgu.yaml", "{type: ./mgu.yaml, floor: [0, 0.3]}"))
    runs = load(text).runs
    assert [run.cell.label for run in runs] == ["mine", "mine[floor=0.3]"]
    assert all(c.holds for run in runs for c in gradflow.verify(run).comparisons)


def test_layers_and_directions_have_their_own_tensors(folder):
    (run,) = load(written(LAYERS)).runs
    found = parameters(run)
    with np.load("deep.npz") as file:
        for (layer, direction), own in found.items():
            way, end = (("forward", ""), ("reverse", "_reverse"))[direction]
            np.testing.assert_array_equal(own["W"], file[f"W_l{layer}{end}"])
            np.testing.assert_array_equal(own["u"], file["u"][layer])
            np.testing.assert_array_equal(own["b"], file[f"{way}/{layer}.b"])
    comparisons = gradflow.verify(run).comparisons
    assert {c.place for c in comparisons} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert all(c.holds for c in comparisons)


def test_a_list_has_a_mapping_for_each_layer(folder):
    listed = "[" + ", ".join(
        f'{{W: "W_l{k}{{reverse}}", u: "u[{k}]", b: "{{direction}}/{k}.b"}}' for k in (0, 1)
    ) + "]"  # fmt: skip
    mapping = LAYERS[LAYERS.index("{W:") :].strip()
    (one,) = load(written(LAYERS)).runs
    (other,) = load(written(LAYERS, (mapping, listed), ("layers: 2\n", ""))).runs
    assert other.layers == 2
    for at, own in parameters(one).items():
        for name, values in own.items():
            np.testing.assert_array_equal(parameters(other)[at][name], values)


def test_an_output_layer_and_a_checkpoint_in_the_place_of_the_file(folder, capsys):
    text = written(CONFIG, ("  parameters:", "  W_o: head.kernel.T\n  parameters:"))
    (run,) = load(text).runs
    with np.load("w.npz") as file:
        np.testing.assert_array_equal(run.trained.output_layer[0], file["head.kernel"].T)
        np.savez("later.npz", **{name: 0.5 * file[name] for name in file.files})
    code, out, err = main(capsys, "track", text, "w.npz", "later.npz", "--format", "csv")
    assert (code, err) == (0, "")
    assert [*csv.DictReader(io.StringIO(out))][-1]["checkpoint"] == "w.npz"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ([("hh[0:4]", "hh[0:5]")],
         "c.yaml:9:10: error: weights.parameters.U_f: expected the shape [H, H] = (4, 4), found"
         " (5, 4)"),
        ([("kernel.T[4:8]", "kernel")],
         "c.yaml:8:10: error: weights.parameters.W_n: expected the shape [H, I] = (4, 3), found"
         " (3, 8)"),
        ([("rnn.kernel.T[4:8]", "rnn.kernel[:, 4:8]")],
         "c.yaml:8:10: error: weights.parameters.W_n: expected the shape [H, I] = (4, 3), found"
         " (3, 4); its transpose fits: rnn.kernel[:, 4:8].T"),
        ([("bias[0, 0:4]", "bias[0:1, 0:4]")],
         "c.yaml:11:10: error: weights.parameters.b_f: expected the shape H = (4,), found (1, 4);"
         " write bias[0:1, 0:4][0]"),
        ([("rnn.weight_hh[0:4]", "rnn.wieght_hh[0:4]")],
         "c.yaml:9:10: error: weights.parameters.U_f: w.npz: no tensor is called 'rnn.wieght_hh';"
         " did you mean 'rnn.weight_hh'?"),
        ([("hh[4:]", "hh[4:9]")],
         "c.yaml:10:10: error: weights.parameters.U_n: w.npz: tensor 'rnn.weight_hh': 4:9 is no"
         " part of axis 0, which has 8 entries"),
        ([("hh[4:]", "hh[3:3]")],
         "c.yaml:10:10: error: weights.parameters.U_n: w.npz: tensor 'rnn.weight_hh': 3:3 is no"
         " part of axis 0, which has 8 entries"),
        ([("bias[0, 0:4]", "bias[0, 0:4, 1]")],
         "c.yaml:11:10: error: weights.parameters.b_f: w.npz: tensor 'bias': expected at most 2"
         " indices, its shape is (2, 8)"),
        ([('    b_n: "bias[0][4:8]"\n', "")],
         "c.yaml:7:5: error: weights.parameters: expected a tensor for each parameter of mine:"
         " b_n is missing"),
        ([("    W_f:", "    V_f: k\n    W_f:")],
         "c.yaml:7:5: error: weights.parameters.V_f: unknown key; did you mean "),
        ([("sequence_length: 6", "hidden_size: 5")],
         "c.yaml:2:14: error: hidden_size: expected 4, which w.npz has, found 5"),
        ([("sequence_length: 6", "ws_init: orthogonal")],
         "c.yaml:2:1: error: ws_init: has no meaning with weights: they come from w.npz"),
        ([("file: w.npz", "file: w.npz\n  prefix: rnn")],
         "c.yaml:6:3: error: weights.prefix: has no meaning with parameters, which name each"
         " tensor"),
        ([("./mgu.yaml", "{type: ./mgu.yaml, bias: 2}")],
         "c.yaml:1:32: error: cell.bias: bias makes initial values, and these come from w.npz:"
         " leave it out"),
        ([("sequence_length: 6", "layers: 2")],
         "c.yaml:7:5: error: weights.parameters: the layers have the same tensors: put {layer} into"
         " the names, or give a list, one mapping a layer"),
        ([("sequence_length: 6", "bidirectional: true")],
         "c.yaml:7:5: error: weights.parameters: both directions have the same tensors: put"
         " {direction} or {reverse} into the names"),
        ([("file: w.npz", "file: w.npz\n  W_o: head.kernel")],
         "c.yaml:6:8: error: weights.W_o: expected the shape (O, 4), found (4, 5); its transpose"
         " fits: head.kernel.T"),
        ([("file: w.npz", "file: w.npz\n  W_o: head.kernel.T\n  b_o: k")],
         "c.yaml:7:8: error: weights.b_o: expected the shape (5,), found (4,)"),
        ([("sequence_length: 6", "layers: [1, 2]")],
         "c.yaml:2:9: error: layers: expected one number of layers with parameters, at most"),
        ([('"rnn.kernel[:, 0:4].T"', "3")],
         "c.yaml:7:10: error: weights.parameters.W_f: expected text, found 3"),
        ([("  file: w.npz", "  file: no.npz")],
         "c.yaml:5:3: error: weights: no.npz: no such file"),
        ([("cell: ./mgu.yaml\n", "")],
         "c.yaml:1:1: error: cell: this key is required: expected"),
    ],
)  # fmt: skip
def test_a_fault_stands_at_its_place(folder, change, told):
    (found,) = faults(CONFIG, *change)
    assert found.startswith(told)


def test_all_faults_are_told_at_once(folder):
    changes = [("hh[0:4]", "hh[0:3]"), ("bias[0][4:8]", "bais"), ("    W_n:", "    W_m:")]
    assert len(faults(CONFIG, *changes)) == 4  # shape, no tensor, unknown, missing


def test_numbers_that_are_not_finite_are_named(folder):
    with np.load("w.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["bias"][0, 5] = np.nan
    np.savez("w.npz", **arrays)
    (found,) = faults(CONFIG)
    assert found.endswith("tensor 'bias[0][4:8]' holds nan at [1]: expected finite numbers")


def test_a_cell_of_ones_own_beside_weights_asks_for_names(folder):
    (found,) = faults("cell: ./mgu.yaml\nweights: w.npz\n")
    assert "your own cell takes a tensor for each of its parameters by name" in found


def test_every_shipped_cell_takes_its_parameters_by_name(folder):
    for name, cell in CELLS.items():
        sizes = {o: 2 for o, v in cell.equations.defaults.items() if isinstance(v, int)}
        sized = cell(**sizes).sized(H, I)
        np.savez("all.npz", **{n: np.full(p.shape, 0.1) for n, p in sized.parameters.items()})
        given = ", ".join(f"{n}: {n}" for n in sized.parameters)
        options = "".join(f", {option}: 2" for option in sizes)
        weights = f"weights: {{file: all.npz, parameters: {{{given}}}}}"
        (run,) = load(written(f"cell: {{type: {name}{options}}}\n{weights}\n")).runs
        assert (run.hidden_size, run.input_size) == (H, I)
        assert all(np.all(a == 0.1) for a in parameters(run)[0, 0].values())


@pytest.mark.parametrize("given", ["3", "[3]", "W"])
def test_what_is_no_mapping_of_names_says_what_would_be(folder, given):
    (found,) = faults(f"cell: mgu\nweights: {{file: w.npz, parameters: {given}}}\n")
    assert 'expected a mapping such as {W: "rnn.weight_ih"}, or a list of them' in found


def test_names_of_any_length_are_refused_in_bearable_ones(folder):
    for text in ("[0]" * 5000, ".T" * 9000, "x" * 9000, "bias[" + "9" * 40 + "]"):
        told = faults(f"cell: mgu\nweights: {{file: w.npz, parameters: {{W_f: '{text}'}}}}\n")
        assert len(told) == 2  # it, and that others are missing
        assert all(len(one) < 400 for one in told)
