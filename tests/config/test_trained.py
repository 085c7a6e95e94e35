"""`weights:` in a config: what comes from the file, and what contradicts it."""

from __future__ import annotations

import numpy as np
import pytest

import gradflow
from gradflow.cells import CELLS, GRU, LSTM, RNN, ProjectedLSTM
from gradflow.config.load import load
from gradflow.runs.sampling import parameters
from nets import as_pytorch, random_stack

A_CELL = " or ".join(", ".join(CELLS).rsplit(", ", 1))


@pytest.fixture
def folder(tmp_path):
    """A folder with nets under PyTorch's names, and one under none that is known."""

    def save(name, cell, layers=1, directions=1, prefix=""):
        stack = random_stack(cell, layers=layers, directions=directions, I=3, H=4)
        arrays = {}
        for (layer, direction), p in stack.params.items():
            end = f"_l{layer}" + ("_reverse" if direction else "")
            arrays |= {prefix + n + end: a[0] for n, a in as_pytorch(cell, p).items()}
        width = directions * stack.cells[0, 0].P
        np.savez(tmp_path / name, head=np.ones((2, width)), **arrays)
        return stack

    return tmp_path, {
        "rnn.npz": save("rnn.npz", RNN()),
        "lstm.npz": save("lstm.npz", LSTM(), layers=2, prefix="encoder."),
        "gru.npz": save("gru.npz", GRU(), directions=2),
        "lstmp.npz": save("lstmp.npz", ProjectedLSTM(proj_size=2), layers=2, directions=2),
    }


def config(folder, text):
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def faults(folder, text, *overrides):
    with pytest.raises(gradflow.InputError) as caught:
        load(config(folder, text), overrides)
    return [str(f).replace(f"{folder}/", "") for f in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("weights: lstm.npz", "lstm"),
        ("weights: gru.npz", "gru"),
        ("weights: lstmp.npz", "lstmp[proj_size=2]"),
        ("weights: lstmp.npz\ncell: lstm", "lstmp[proj_size=2]"),
        (
            "weights: lstmp.npz\ncell: {type: lstm, forget_bias: 0, proj_size: 2}",
            "lstmp[proj_size=2]",
        ),
        ("weights: rnn.npz\ncell: {type: rnn, activation: relu}", "rnn[activation=relu]"),
    ],
)
def test_sizes_and_parameters_are_the_files(folder, text, cell):
    path, stacks = folder
    (run,) = load(config(path, text)).runs
    stack = stacks[text.split()[1]]
    assert run.cell.label == cell
    assert (run.input_size, run.hidden_size) == (3, 4)
    assert set(run.places) == set(stack.params)
    for at, p in parameters(run).items():
        assert ("W_p" in p) == ("lstmp" in cell)
        assert set(p) == set(stack.params[at])
        for name, values in p.items():
            np.testing.assert_array_equal(values, stack.params[at][name][0], err_msg=name)


def test_scales_and_named_biases_say_what_they_would_change(folder):
    path, stacks = folder
    text = "weights: lstm.npz\ncell: {type: lstm, forget_bias: 2}\nws_scale: [1, 0.5]"
    _, half = load(config(path, text)).runs
    p, original = parameters(half)[0, 0], stacks["lstm.npz"].params[0, 0]
    for gate in "ifgo":
        np.testing.assert_array_equal(p[f"W_{gate}"], original[f"W_{gate}"][0])
        np.testing.assert_array_equal(p[f"U_{gate}"], 0.5 * original[f"U_{gate}"][0])
        added = 2 if gate == "f" else 0
        np.testing.assert_array_equal(p[f"b_{gate}"], original[f"b_{gate}"][0] + added)
    assert half.axes["ws_init"] == "trained"


def test_the_output_layer_can_come_from_the_file(folder):
    path, _ = folder
    text = "weights: {file: rnn.npz, W_o: head}\ncell: {type: rnn, activation: tanh}"
    (run,) = load(config(path, text)).runs
    assert run.output_size == 2
    assert run.trained is not None
    np.testing.assert_array_equal(run.trained.output_layer[0], np.ones((2, 4)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "weights: rnn.npz",
            "config.yaml:1:1: error: cell: rnn.npz does not give the activation: say it, for "
            "example `cell: {type: rnn, activation: tanh}`",
        ),
        (
            "cell: gru\nweights: lstm.npz",
            "config.yaml:1:7: error: cell: expected lstm, which lstm.npz has, found gru",
        ),
        (
            "weights: lstm.npz\nhidden_size: 9",
            "config.yaml:2:14: error: hidden_size: expected 4, which lstm.npz has, found 9",
        ),
        (
            "weights: lstm.npz\nlayers: [1, 2]",
            "config.yaml:2:9: error: layers: expected 2, which lstm.npz has, found [1, 2]",
        ),
        (
            "weights: gru.npz\ncell: {type: gru, reset: before}",
            "config.yaml:2:26: error: cell.reset: expected after, which gru.npz has, found before",
        ),
        (
            "weights: lstmp.npz\ncell: {type: lstmp, proj_size: 3}",
            "config.yaml:2:32: error: cell.proj_size: expected 2, which lstmp.npz has, found 3",
        ),
        (
            "weights: lstm.npz\ncell: lstmp",
            "config.yaml:2:7: error: cell: expected lstm, which lstm.npz has, found lstmp",
        ),
        (
            "weights: lstmp.npz\ncell: gru",
            "config.yaml:2:7: error: cell: expected lstmp, which lstmp.npz has, found gru",
        ),
        (
            "weights: lstm.npz\ncell: {type: [lstm]}",
            f'config.yaml:2:14: error: cell.type: expected {A_CELL}, found ["lstm"]',
        ),
        (
            "weights: lstm.npz\nws_init: orthogonal",
            "config.yaml:2:1: error: ws_init: has no meaning with weights: they come from lstm.npz",
        ),
        (
            "weights: lstn.npz",
            "config.yaml:1:10: error: weights: lstn.npz: no such file; did you mean 'lstm.npz'?",
        ),
        (
            "weights: {file: lstm.npz, prefix: decoder}",
            "config.yaml:1:10: error: weights: lstm.npz: no recurrent net is called 'decoder'; "
            "there are: 'encoder'",
        ),
        (
            "weights: {file: lstm.npz, prefix: []}",
            "config.yaml:1:35: error: weights.prefix: expected at least one value, found []",
        ),
        (
            "weights: {file: lstm.npz, prefix: {}}",
            "config.yaml:1:35: error: weights.prefix: expected text, found {}",
        ),
        (
            "weights: {file: lstm.npz, prefx: encoder}",
            "config.yaml:1:27: error: weights.prefx: unknown key; did you mean prefix?",
        ),
        (
            "weights: lstm.npz\ncell: [lstm, gru]",
            "config.yaml:2:7: error: cell: expected one cell, the lstm of lstm.npz",
        ),
    ],
)
def test_a_contradiction_names_both(folder, text, expected):
    assert faults(folder[0], text) == [expected]


def test_an_input_that_the_net_cannot_take_names_both_files(folder):
    path, _ = folder
    (path / "x.csv").write_text("1,2\n3,4\n")
    text = "weights: lstm.npz\ninput: {file: x.csv}"
    (fault,) = faults(path, text)
    assert fault.endswith("input: expected 3 columns, which lstm.npz takes; x.csv has 2")


@pytest.mark.parametrize("file", ["gru.npz", "lstmp.npz"])
def test_a_curve_of_trained_weights_holds_against_complex_steps(folder, file):
    path, _ = folder
    (run,) = load(config(path, f"weights: {file}\nsequence_length: 6\nbatch_size: 2")).runs
    found = gradflow.verify(run).comparisons
    assert {c.place for c in found} == set(run.places)
    assert all(c.holds for c in found)


def test_an_output_layer_reads_projected_outputs_of_both_directions(folder):
    path, _ = folder
    sizes = "\nsequence_length: 6\nbatch_size: 2"
    (run,) = load(config(path, "weights: {file: lstmp.npz, W_o: head}" + sizes)).runs
    assert run.trained.output_layer[0].shape == (2, 4)
    assert all(c.holds for c in gradflow.verify(run).comparisons)


def test_layers_of_different_projections_are_told_apart(folder):
    path, _ = folder
    both = {}
    for prefix, (width, P) in {"a": (3, 2), "b": (2, 3)}.items():
        shapes = {"weight_ih": (16, width), "weight_hh": (16, P), "weight_hr": (P, 4)}
        both |= {f"{prefix}.{name}_l0": np.ones(shape) for name, shape in shapes.items()}
    np.savez(path / "two.npz", **both)
    (fault,) = faults(path, "weights: {file: two.npz, prefix: [a, b]}")
    assert fault.endswith(
        "expected the same options of every layer: layer 1 has {'proj_size': 3}, "
        "layer 0 {'proj_size': 2}"
    )


def test_layers_of_different_sizes_may_share_a_projection(folder):
    path, _ = folder
    both = {}
    for prefix, (width, H) in {"a": (3, 4), "b": (2, 5)}.items():
        shapes = {"weight_ih": (4 * H, width), "weight_hh": (4 * H, 2), "weight_hr": (2, H)}
        both |= {f"{prefix}.{name}_l0": np.ones(shape) / 9 for name, shape in shapes.items()}
    np.savez(path / "two.npz", **both)
    (run,) = load(config(path, "weights: {file: two.npz, prefix: [a, b]}\nsequence_length: 5")).runs
    assert [run.state_width(at) for at in run.places] == [6, 7]
    found = gradflow.verify(run).comparisons
    assert {c.place for c in found} == set(run.places)
    assert all(c.holds for c in found)


@pytest.fixture
def merging(tmp_path):
    """Three layers in both directions, each of which takes as many inputs as one direction has."""
    rng = np.random.default_rng(2)
    arrays = {"head": np.ones((2, 4))}
    for layer in range(3):
        for end in ("", "_reverse"):
            shapes = {"weight_ih": (12, 3 if layer == 0 else 4), "weight_hh": (12, 4)}
            shapes |= {"bias_ih": (12,), "bias_hh": (12,)}
            arrays |= {
                f"{n}_l{layer}{end}": 0.5 * rng.standard_normal(s) for n, s in shapes.items()
            }
    np.savez(tmp_path / "net.npz", **arrays)
    return tmp_path


@pytest.mark.parametrize("merge", ["sum", "ave", "mul"])
def test_merged_directions_hold_against_complex_steps(merging, merge):
    text = f"weights: {{file: net.npz, merge: {merge}}}\nsequence_length: 7\nbatch_size: 2"
    (run,) = load(config(merging, text)).runs
    found = gradflow.verify(run).comparisons
    assert {c.place for c in found} == set(run.places)
    assert len(run.places) == 6
    assert all(c.holds for c in found)


def test_a_merge_that_the_shapes_contradict_is_refused(merging):
    (fault, *_) = faults(merging, "weights: net.npz")
    assert "expected 8 columns for the outputs of the layer below" in fault
    (fault,) = faults(merging, "weights: {file: net.npz, merge: mul, W_o: head}")
    assert "an output layer that reads the product of both directions is not computed" in fault


@pytest.mark.parametrize("merge", ["sum", "ave"])
def test_an_output_layer_reads_merged_directions(merging, merge):
    text = f"weights: {{file: net.npz, merge: {merge}, W_o: head}}\nsequence_length: 4"
    (run,) = load(config(merging, text)).runs
    W_o, _ = run.trained.output_layer
    h = np.arange(8.0)  # of both directions, side by side
    merged = (h[:4] + h[4:]) * (1 if merge == "sum" else 0.5)
    np.testing.assert_allclose(W_o @ h, np.ones((2, 4)) @ merged)


def test_one_direction_can_be_taken(folder):
    path, stacks = folder
    (run,) = load(config(path, "weights: {file: gru.npz, direction: reverse}")).runs
    assert (run.places, run.trained.backward) == ([(0, 0)], True)
    for name, values in parameters(run)[0, 0].items():
        np.testing.assert_array_equal(values, stacks["gru.npz"].params[0, 1][name][0])
    (fault,) = faults(path, "weights: {file: lstm.npz, direction: reverse}")
    assert "one direction of 2 layers is no net: say which layer too" in fault
    (fault,) = faults(path, "weights: {file: lstm.npz, layer: 1, direction: reverse}")
    assert "no reverse direction in the net" in fault


def keras(folder, gates=4):
    """A file that tells neither activations nor, of a GRU without bias, the reset."""
    np.savez(
        folder / "keras.npz",
        **{"a/kernel": np.ones((3, gates * 4)), "a/recurrent_kernel": np.ones((4, gates * 4))},
    )
    return "weights: keras.npz"


def test_all_that_a_file_does_not_tell_is_asked_for_at_once(tmp_path):
    (fault,) = faults(tmp_path, keras(tmp_path, 3))
    assert fault.endswith(
        "keras.npz does not give the activation and the recurrent_activation and the reset: say "
        "them, for example `cell: {type: gru, activation: tanh, recurrent_activation: sigmoid, "
        "reset: after}`"
    )


@pytest.mark.parametrize("gates", ["hard_sigmoid", "keras2_hard_sigmoid", "relu", "linear", "tanh"])
def test_activations_that_the_user_tells_are_computed(tmp_path, gates):
    cell = f"cell: {{type: lstm, activation: relu, recurrent_activation: {gates}}}"
    text = f"{keras(tmp_path)}\n{cell}\nsequence_length: 6\nbatch_size: 2"
    (run,) = load(config(tmp_path, text)).runs
    assert run.cell.options["recurrent_activation"] == gates
    assert all(c.holds for c in gradflow.verify(run).comparisons)
