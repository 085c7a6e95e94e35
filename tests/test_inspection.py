"""`gradflow inspect`: what it lists, and that the config it offers runs as it is."""

from __future__ import annotations

import json
import math
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradflow
from command import main
from gradflow.config import tree
from gradflow.formats import Look
from gradflow.formats.inspection import table, to_json
from gradflow.inspection import inspect
from gradflow.inspection.offers import yaml_text

I, H = 3, 4  # noqa: E741


def arrays(**shapes):
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def pytorch(gates, prefix="", layers=1, ends=("",)):
    """The state dict of a module."""
    found = {}
    for layer in range(layers):
        for end in ends:
            inputs = len(ends) * H if layer else I
            shapes = {"weight_ih": (gates * H, inputs), "weight_hh": (gates * H, H),
                      "bias_ih": (gates * H,), "bias_hh": (gates * H,)}  # fmt: skip
            found |= {f"{prefix}{n}_l{layer}{end}": s for n, s in shapes.items()}
    return arrays(**found)


def keras(gates, layer):
    shapes = {"kernel": (I, gates * H), "recurrent_kernel": (H, gates * H)}
    return arrays(**{f"{layer}/{name}:0": shape for name, shape in shapes.items()})


FLAX = arrays(**{f"cell.{side}{gate}.kernel": (I if side == "i" else H, H)
                 for side in "ih" for gate in "ifgo"})  # fmt: skip
PROJECTED = arrays(weight_ih_l0=(4 * H, I), weight_hh_l0=(4 * H, 2), weight_hr_l0=(2, H))
ONE = {
    "projected lstm": PROJECTED,
    "lstm": pytorch(4),
    "rnn": pytorch(1),
    "gru": pytorch(3, "enc.", layers=2, ends=("", "_reverse")),
    "odd names": pytorch(4, "x: #."),
    "keras gru": keras(3, "gru"),
    "keras lstm": keras(4, "lstm"),
    "flax": FLAX,
}
SEVERAL = {
    **pytorch(4, "encoder.", layers=2),
    **pytorch(3, "decoder."),
    **pytorch(1),
    **keras(1, "true"),
    "fc.weight": np.ones((5, H)),
    "embedding": np.ones((9, I)),
}


@pytest.fixture
def save(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(tensors, name="net.npz"):
        np.savez(tmp_path / name, **tensors)
        return tmp_path / name

    return write


def safetensors(path, tensors):
    """(dtype, shape) by name, every number zero."""
    header, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * (4 if dtype == "F32" else 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


def page(found, width=80, every=False):
    return "".join(table(found, Look(width=width, tables=every)))


def analyzed(config, path):
    """The run of a config saved next to the file."""
    saved = path.with_suffix(".yaml")
    saved.write_text(config, encoding="utf-8")
    (result,) = gradflow.analyze(str(saved))
    return result


# The config


@pytest.mark.parametrize("kind", ONE)
def test_the_config_of_a_net_runs_as_it_stands(save, kind):
    path = save(ONE[kind], f"{kind}, ünd #1.npz")
    found = inspect(path)
    (net,) = found.nets
    result = analyzed(found.config, path)
    assert result.axes["input_size"] == net.layers[0].input_size == I
    assert result.axes["hidden_size"] == H
    assert result.axes["layers"] == 1 + net.layers[-1].layer
    assert str(result.axes["cell"]).startswith(net.cell)
    assert page(found).endswith(f"\n\n{found.config}")


def test_each_net_that_the_config_offers_in_a_comment_runs_too(save):
    path = save(SEVERAL)
    found = inspect(path)
    assert [net.prefix for net in found.nets] == ["encoder", "decoder", "", "true"]
    assert analyzed(found.config, path).axes["layers"] == 2
    offered = re.findall(r"^  # (prefix: (\S+)  # another net: (\w+))$", found.config, re.M)
    assert [(name, cell) for _, name, cell in offered] == [
        ("decoder", "gru"), ('""', "rnn"), ('"true"', "rnn")]  # fmt: skip
    for line, _, cell in offered:
        other = found.config.replace("prefix: encoder", line)
        option = {"gru": "reset: after", "rnn": "activation: tanh"}[cell]
        other = other.replace("cell: lstm", f"cell: {{type: {cell}, {option}}}")
        assert str(analyzed(other, path).axes["cell"]) == cell


def test_modules_in_a_list_are_offered_as_a_stack(save):
    """From each on, as far as each could read the one below."""
    sizes = {"rnns.0.": I, "rnns.1.": H, "rnns.2.": H, "rnns.3.": I, "rnns.4.": H}
    path = save({n: a for prefix, width in sizes.items()
                 for n, a in renamed(pytorch(4, prefix), prefix, width).items()})  # fmt: skip
    config = inspect(path).config
    line = "prefix: [rnns.0, rnns.1, rnns.2]"
    assert f"  # {line}  # stacked, if each reads the one before\n" in config
    result = analyzed(config.replace("prefix: rnns.0", line), path)
    assert result.axes["layers"] == 3


def renamed(net, prefix, width):
    """The net with as many inputs."""
    return {**net, f"{prefix}weight_ih_l0": np.full((4 * H, width), 0.1)}


def test_a_tensor_of_the_right_shape_is_offered_as_the_output_layer(save):
    path = save(SEVERAL)
    config = inspect(path).config
    assert "  # W_o: fc.weight  # if it is the output layer\n" in config
    assert "W_o: embedding" not in config
    result = analyzed(config.replace("  # W_o", "  W_o"), path)
    assert result.flow.totals["W_o"].shape == ()


def test_what_the_file_does_not_tell_is_a_default_with_its_choices(save):
    config = inspect(save(ONE["rnn"])).config
    assert (
        "\n# the file does not give the activation: tanh or linear or relu or sigmoid?\n"
        "cell: {type: rnn, activation: tanh}\n"
    ) in config
    assert "not give" not in inspect(save(ONE["gru"])).config


def test_each_option_that_is_asked_for_stands_at_its_likeliest_value(save):
    config = inspect(save(ONE["keras gru"])).config
    assert (
        "# the file does not give the reset: after or before?\n"
        "cell: {type: gru, activation: tanh, recurrent_activation: sigmoid, reset: after}\n"
    ) in config


def test_every_net_has_a_config_of_its_own(save, capsys):
    path = save(SEVERAL)
    found = inspect(path)
    text = page(found)
    configs = [text for net in found.nets for text in net.configs.values()]
    assert [analyzed(config, path).axes["cell"] for config in configs] == [
        "lstm", "gru", "rnn", "rnn"]  # fmt: skip
    assert configs[0] == found.config
    assert all(config in text for config in configs)
    _, out, _ = main(capsys, "inspect", path, "--format", "json")
    nets = json.loads(out)["nets"]
    assert [net["configs"] for net in nets] == [[{"of": "", "config": c}] for c in configs]


def test_what_can_be_analysed_of_a_net_that_cannot_has_configs(save):
    """One layer of a stack is damaged; the directions of another net are of two cells."""
    damaged = pytorch(4, "deep.", layers=3)
    damaged["deep.weight_hh_l1"][0, 0] = np.nan
    path = save(damaged)
    (net,) = inspect(path).nets
    assert "tensor 'deep.weight_hh_l1' holds nan" in net.faults[0]
    assert list(net.configs) == ["layer 0", "layer 2"]
    assert [analyzed(c, path).axes["input_size"] for c in net.configs.values()] == [I, H]
    ways = {n.replace("rnn", way): a for way, gates in (("forward_rnn", 4), ("backward_rnn", 3))
            for n, a in flax(gates).items()}  # fmt: skip
    (net,) = inspect(save(ways)).nets
    assert list(net.configs) == ["direction forward", "direction reverse"]
    runs = [analyzed(c, path) for c in net.configs.values()]
    assert [run.axes["cell"] for run in runs] == ["lstm", "gru"]
    assert "Config for direction reverse of the net bi:" in page(inspect(path))


def flax(gates):
    letters = "ifgo" if gates == 4 else "rzn"
    return arrays(**{f"bi/rnn/cell/{side}{gate}/kernel": (I if side == "i" else H, H)
                     for side in "ih" for gate in letters})  # fmt: skip


def test_a_tensor_of_the_nets_width_is_offered_as_an_embedding(save):
    """Those first that are called so."""
    path = save({"a.weight": np.ones((7, I)), "word_emb": np.ones((9, I)), **ONE["lstm"]})
    config = inspect(path).config
    lines = re.findall(r"^# (input: .*embedding.*)  # looks up numbers below (\d+)$", config, re.M)
    assert lines == [
        ("input: {file: tokens.npy, embedding: word_emb}", "9"),
        ("input: {file: tokens.npy, embedding: a.weight}", "7"),
    ]
    np.save(path.parent / "tokens.npy", np.arange(9))
    config = config.replace("# input: {file: tokens.npy, embedding: word_emb}", lines[0][0])
    config = config.replace("input: gaussian", "# ").replace("sequence_length: 100\n", "")
    assert analyzed(config, path).axes["sequence_length"] == 9


@pytest.mark.parametrize(
    ("names", "gates"),
    [
        ({"W_x": "enc_w_ih", "W_s": "enc_w_hh", "b_x": "enc_b_ih", "b_s": "enc_b_hh"}, 3),
        ({"W_x": "net.i2h.weight", "W_s": "net.h2h.weight", "b_x": "net.i2h.bias"}, 4),
        ({"W_x": "Wx", "W_s": "Wh", "b_x": "b"}, 4),
        ({"W_x": "lstm/W", "W_s": "lstm/U", "b_x": "lstm/b"}, 4),
        ({"W_x": "cell.input_weights", "W_s": "cell.recurrent_weights"}, 3),
        ({"W_x": "Wxh", "W_s": "Whh", "b_x": "bxh", "b_s": "bhh"}, 1),
    ],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_names_that_fit_by_their_endings_and_shapes_are_filled_in(save, names, gates, transposed):
    shapes = {"W_x": (gates * H, I), "W_s": (gates * H, H), "b_x": (gates * H,)}
    rng = np.random.default_rng(1)
    tensors = {name: rng.standard_normal(shapes.get(p, shapes["b_x"])) for p, name in names.items()}
    if transposed and gates > 1:
        tensors = {name: array.T for name, array in tensors.items()}
    path = save({**tensors, "fc.weight": np.ones((5, H)), "out": np.ones((2, 5))})
    found = inspect(path)
    (net,) = found.nets
    assert net.names == names
    assert "No recurrent layer is recognised here by a convention." in " ".join(page(found).split())
    for parameter, name in names.items():
        assert f"\n  {parameter}: {name}\n" in found.config
    assert analyzed(found.config, path).axes["input_size"] == I
    (layer,) = net.layers
    expected = tensors[names["W_s"]]
    np.testing.assert_array_equal(layer.W_s, expected.T if transposed and gates > 1 else expected)


def test_two_layers_may_be_guessed(save):
    shapes = {"w_ih": (3 * H, I), "w_hh": (3 * H, H), "b_ih": (3 * H,), "b_hh": (3 * H,)}
    path = save(arrays(**{f"{s}_{n}": v for s in ("enc", "dec") for n, v in shapes.items()}))
    found = inspect(path)
    assert [net.names["W_s"] for net in found.nets] == ["enc_w_hh", "dec_w_hh"]
    assert "Config for the layer of dec_w_hh:" in page(found)
    assert len({analyzed(c, path).loss for net in found.nets for c in net.configs.values()}) == 2


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_reads_back_from_yaml_as_it_is(name):
    text = f"key: {yaml_text(name)}\n  # key: {yaml_text(name)}\n"
    assert tree.read(text.encode(), "x").data == {"key": name}


# What is listed


def test_every_tensor_and_layer_is_listed_and_says_what_it_is_read_as(save):
    text = page(inspect(save(SEVERAL)))
    for name, array in SEVERAL.items():
        (line,) = (one for one in text.splitlines() if one.startswith(f"{name} "))
        assert " × ".join(map(str, array.shape)) in line
        assert "float64" in line
    assert re.search(r"^encoder.weight_hh_l1 .* W_s of layer 1$", text, re.M)
    assert re.search(r"^encoder +1 +forward +lstm +4 +4 +PyTorch$", text, re.M)
    assert re.search(r"^true +0 +forward +rnn\[activation=\?\] +3 +4 +Keras$", text, re.M)
    assert "4 nets: the config takes one" in text
    assert max(map(len, text.splitlines())) <= 100
    assert f"{len(SEVERAL)} tensors" in text


def test_many_tensors_are_grouped_and_none_is_lost(save):
    blocks = arrays(**{f"block.{i}.w{j}": (2, j) for i in range(30) for j in (1, 2)})
    found = inspect(save({**blocks, **ONE["lstm"]}))
    text = page(found)
    assert re.search(r"^block\.\*\.w\* +30 +2 × 1 ", text, re.M)
    assert re.search(r"^block\.\*\.w\* +30 +2 × 2 ", text, re.M)
    assert "64 tensors in all, each by itself with --tensors." in text
    every = page(found, every=True)
    assert all(f"\n{name} " in every for name in found.stored)
    assert "--tensors" not in every


def test_json_is_strict_and_has_the_same_content(save, capsys):
    path = save(SEVERAL)
    found = inspect(path)
    code, out, err = main(capsys, "inspect", path, "--format", "json")
    assert (code, err, out) == (0, "", "".join(to_json(found, Look())))
    facts = json.loads(out, parse_constant=pytest.fail)
    assert facts["config"] == found.config
    assert {t["name"]: tuple(t["shape"]) for t in facts["tensors"]} == {
        name: array.shape for name, array in SEVERAL.items()
    }
    assert [net["prefix"] for net in facts["nets"]] == [net.prefix for net in found.nets]
    assert facts["nets"][2]["layers"][0]["undetermined"] == ["activation"]
    (use,) = facts["tensors"][0]["read_as"]
    assert use == {"parameter": "W_x", "net": "encoder", "layer": 0, "direction": "forward"}


def test_only_recurrent_tensors_are_read(tmp_path):
    """The others may hold numbers that nothing here can read."""
    lstm = {name: ("F32", list(array.shape)) for name, array in ONE["lstm"].items()}
    exotic = {"embedding": ("F8_E4M3", [10, 3]), "odd": ("\x1b[31mred", [2])}
    found = inspect(safetensors(tmp_path / "net.safetensors", {**exotic, **lstm}))
    assert found.config is not None
    text = page(found)
    assert "F8_E4M3" in text
    assert "\x1b" not in text


# What cannot be analysed


def test_a_net_that_cannot_be_analysed_says_why_and_the_next_one_is_taken(save):
    broken = pytorch(4, "broken.")
    broken["broken.bias_hh_l0"][2] = np.nan
    torn = {n: a for n, a in pytorch(4, "torn.").items() if "weight_hh" not in n}
    path = save({**broken, **torn, **pytorch(4, "good.")})
    found = inspect(path)
    text = " ".join(page(found).split())
    assert "The net broken cannot be analysed: tensor 'broken.bias_hh_l0' holds nan at [2]" in text
    assert "The net torn cannot be analysed: tensor 'torn.weight_hh_l0' is missing" in text
    assert "prefix: good" in found.config
    assert "prefix: broken" not in found.config
    assert analyzed(found.config, path).flow is not None
    assert inspect(save(broken)).config is None


def test_without_a_recurrent_layer_it_says_how_to_name_one(save, capsys):
    tensors = arrays(A=(4 * H, I), B=(4 * H, H), c=(4 * H,))
    path = save(tensors, "my net.npz")
    code, out, err = main(capsys, "inspect", "my net.npz")
    assert (code, err) == (0, "")
    assert "No recurrent layer is recognised here." in out
    assert "a tensor for each parameter that" in out.replace("\n", " ")
    config = out[out.index("weights:") :]
    for key, name in (("W_x", "A"), ("W_s", "B"), ("b_x", "c")):
        config = config.replace(f"{key}: NAME", f"{key}: {name}")
    assert analyzed(config.replace("  b_s: NAME\n", ""), path).axes["cell"] == "lstm"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"PK\3\4 and nothing more", "damaged"),
        (struct.pack("<Q", 9) + b"{" * 9, "the header is not JSON"),
        (b"plain text", "expected one of .npz"),
    ],
)
def test_a_broken_file_ends_with_2_and_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "net.dat"
    if content is not None:
        path.write_bytes(content)
    code, out, err = main(capsys, "inspect", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"{path}: error: ")
    assert message in err
    assert len(err.splitlines()) == 1
