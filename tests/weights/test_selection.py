"""Choosing a net: what is asked, what is refused, and how the message helps."""

from __future__ import annotations

import numpy as np
import pytest
from test_conventions import H, I, normal, pytorch, tensors

from gradflow.errors import InputError
from gradflow.weights import choose_net, output_layer


def stack(**changes):
    arrays = pytorch("rnn.", "lstm", layers=3, bidirectional=True)
    for name, value in changes.items():
        if value is None:
            del arrays[f"rnn.{name}"]
        else:
            arrays[f"rnn.{name}"] = value
    return tensors(arrays)


def bad(array, value=np.nan):
    array = array.copy()
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weight_ih_l1": None, "weight_hh_l1": None},
            "tensor 'rnn.weight_hh_l1' is missing: the net 'rnn' has 'rnn.weight_ih_l0'",
        ),
        (
            {"weight_ih_l2_reverse": None, "weight_hh_l2_reverse": None},
            "tensor 'rnn.weight_hh_l2_reverse' is missing",
        ),
        ({"weight_hh_l0": None}, "tensor 'rnn.weight_hh_l0' is missing"),
        ({"bias_ih_l0": normal(4 * H)}, "tensor 'rnn.bias_ih_l0_reverse' is missing"),
        (
            {"weight_hh_l1": normal(4 * H, H + 2)},
            "tensor 'rnn.weight_hh_l1': expected 1, 3 or 4 gates of 5 rows for W_s, found shape"
            " (12, 5)",
        ),
        (
            {"weight_ih_l1": normal(4 * H + 4, 2 * H)},
            "tensor 'rnn.weight_ih_l1' gives W_x shape (16, 6) and tensor 'rnn.weight_hh_l1' gives"
            " W_s shape (12, 3)",
        ),
        (
            {"weight_ih_l1": normal(4 * H, H)},
            "tensor 'rnn.weight_ih_l1' gives W_x shape (12, 3): expected 6 columns for the outputs"
            " of the layer below (tensor 'rnn.weight_hh_l0' (12, 3) and",
        ),
        (
            {"weight_hh_l2": normal(2 * H, H), "weight_ih_l2": normal(2 * H, 2 * H)},
            "expected 1, 3 or 4 gates of 3 rows for W_s, found shape (6, 3)",
        ),
        (
            {"weight_hh_l0": normal(3 * H, H), "weight_ih_l0": normal(3 * H, I)},
            "tensor 'rnn.weight_ih_l0_reverse' is of a lstm, the lowest layer is a gru",
        ),
        (
            {"weight_hh_l0": bad(normal(4 * H, H))},
            "tensor 'rnn.weight_hh_l0' holds nan at [1, 2]: expected finite numbers",
        ),
        (
            {"weight_ih_l1": bad(normal(4 * H, 2 * H), -np.inf)},
            "tensor 'rnn.weight_ih_l1' holds -inf at [1, 2]",
        ),
        (
            {"weight_hh_l0": np.zeros((0, 0))},
            "tensor 'rnn.weight_hh_l0' is empty: its shape is (0, 0)",
        ),
        ({"weight_hh_l0": normal(4 * H)}, "expected 2 axes for W_s, found shape (12,)"),
        (
            {"weight_hh_l0": np.zeros((4 * H, H), np.int8)},
            "expected floating-point numbers, found int8; quantized weights are not read",
        ),
    ],
)
def test_an_incomplete_or_contradictory_net_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        choose_net(stack(**changes))
    assert str(error.value).startswith("net.file: error: ")
    assert message in str(error.value)


def test_the_missing_tensor_of_a_cell_is_named_as_cells_are():
    with pytest.raises(InputError, match=r"tensor 'cell\.weight_hh' is missing"):
        choose_net(tensors({"cell.weight_ih": normal(4 * H, I)}))


def test_several_nets_need_a_prefix():
    file = tensors(pytorch("enc.rnn.", "lstm") | pytorch("dec.rnn.", "gru"))
    with pytest.raises(InputError, match=r"found 2: give one as prefix: 'enc\.rnn', 'dec\.rnn'"):
        choose_net(file)
    with pytest.raises(
        InputError, match=r"no recurrent net is called 'mid'; there are: 'enc\.rnn'"
    ):
        choose_net(file, "mid")
    assert choose_net(file, "enc")[0].cell == choose_net(file, "enc.rnn")[0].cell == "lstm"


def test_a_broken_net_does_no_harm_to_the_one_chosen():
    broken = pytorch("dec.", "gru")
    del broken["dec.weight_hh_l0"]
    broken["old.weight_ih_l0"] = broken["old.weight_hh_l0"] = np.full((3, 3), np.nan)
    file = tensors(pytorch("enc.", "lstm") | broken)
    assert choose_net(file, "enc")[0].cell == "lstm"


def test_no_net_says_how_to_name_the_tensors():
    with pytest.raises(InputError, match="give the tensors' names as W_x, W_s"):
        choose_net(tensors({"fc.weight": normal(3, 3)}))


def test_named_tensors_make_a_layer():
    arrays = {"in": normal(3 * H, I), "rec": normal(3 * H, H), "c": normal(3 * H)}
    file = tensors(arrays)
    (layer,) = choose_net(file, names={"W_x": "in", "W_s": "rec", "b_s": "c"})
    assert (layer.cell, layer.undetermined) == ("gru", ("reset",))
    np.testing.assert_array_equal(layer.b_s, arrays["c"])
    np.testing.assert_array_equal(layer.b_x, np.zeros(3 * H))
    with pytest.raises(InputError, match="no tensor is called 'recc'; did you mean 'rec'"):
        choose_net(file, names={"W_x": "in", "W_s": "recc"})
    with pytest.raises(InputError, match="expected a tensor's name for W_x too"):
        choose_net(file, names={"W_s": "rec"})
    with pytest.raises(InputError, match="shapes disagree"):
        choose_net(file, names={"W_x": "in", "W_s": "rec", "b_x": "c", "W_p": "in"})


def test_several_prefixes_are_stacked_in_their_order():
    file = tensors(pytorch("cells.0.", "gru") | pytorch("cells.1.", "gru", inputs=H))
    layers = choose_net(file, ["cells.0", "cells.1"])
    assert [(one.layer, one.input_size) for one in layers] == [(0, I), (1, H)]
    with pytest.raises(InputError, match="expected 3 columns for the outputs of the layer below"):
        choose_net(file, ["cells.1", "cells.0"])


def test_one_layer_of_a_stack_can_be_taken():
    layers = choose_net(stack(), layer=2)
    assert [(one.layer, one.direction, one.input_size) for one in layers] == [
        (0, "forward", 2 * H),
        (0, "reverse", 2 * H),
    ]
    with pytest.raises(InputError, match="expected a layer from 0 to 2, found 3"):
        choose_net(stack(), layer=3)


def test_the_output_layer_is_named_by_the_user():
    arrays = pytorch("rnn.", "lstm", bidirectional=True)
    arrays |= {"fc.weight": normal(5, 2 * H), "fc.bias": normal(5)}
    file = tensors(arrays)
    layers = choose_net(file)
    W_o, b_o = output_layer(file, layers, "fc.weight", "fc.bias")
    np.testing.assert_array_equal(W_o, arrays["fc.weight"])
    np.testing.assert_array_equal(b_o, arrays["fc.bias"])
    np.testing.assert_array_equal(output_layer(file, layers, "fc.weight")[1], np.zeros(5))
    with pytest.raises(InputError, match=r"expected W_o of shape \(O, 6\), found \(12, 3\)"):
        output_layer(file, layers, "rnn.weight_hh_l0")


def test_the_output_layer_of_keras_is_transposed():
    arrays = {"r/kernel": normal(I, H), "r/recurrent_kernel": normal(H, H), "d": normal(H, 4)}
    file = tensors(arrays)
    W_o, _ = output_layer(file, choose_net(file), "d")
    np.testing.assert_array_equal(W_o, arrays["d"].T)
