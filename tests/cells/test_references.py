"""The cells against gradients that published implementations gave: `equations/cells.json` has them,
with the parameters and what was differentiated."""

from __future__ import annotations

import numpy as np
import pytest

from equations.driver import Net as DrivenNet
from equations.driver import both_ways
from equations.published import CASES, GIVEN, gate_values
from equations.published import CELLS as PUBLISHED
from gradflow.cells import CELLS
from nets import Net, flow

W, b, sq, w = GIVEN["W_x"], GIVEN["b"], GIVEN["W_sq"], GIVEN["w_vec"]
one, root = np.ones(1), np.full(1, np.sqrt(3))


def published(name):
    return PUBLISHED[name][1]


def _of_slstm():
    return gate_values("ifzo")


def _of_mlstm():
    given = dict(published("mlstm"))
    rows = {name: given.pop(name)[None] for name in ("w_i", "w_f")}
    return {**given, **rows, "root": root, "W_o": np.zeros((3, 3)), "b_o": np.zeros(3)}


def _of_layernorm_lstm():
    given = dict(published("layernorm_lstm_ba"))
    biases = given.pop("b")
    return given | {f"b_{gate}": biases[3 * k : 3 * k + 3] for k, gate in enumerate("ifgo")}


def _of_lru():
    given = dict(published("lru"))
    nu, theta = given.pop("nu"), given.pop("theta")
    zero = np.zeros((3, 3))
    return given | {
        "nu_log": np.log(nu), "theta_log": np.log(theta),
        "gamma_log": np.log(1 - np.exp(-2 * nu)) / 2, "C_re": zero, "C_im": zero,
        "D": np.zeros((3, 2)),
    }  # fmt: skip


def _of_s6():
    given = dict(published("mamba_s6"))
    given["V_d"] = given.pop("w_d")[:, None]
    return given | {"A_log": np.log(-given.pop("A")), "W": np.eye(3)}


def _of_gated_deltanet():
    given = dict(published("gated_deltanet"))
    rows = {name: given.pop(name)[None] for name in ("w_g", "w_beta")}
    return {**given, **rows, "A_log": 0 * one, "b_g": 0 * one, "root": root}


def _of_cornn():
    given = dict(published("cornn"))
    return {"U_z": given.pop("V"), **given}


def _of_rglru():
    given = dict(published("rglru"))
    return {"W": np.eye(3), "W_r": given.pop("W_a"), "b_r": given.pop("b_a"), **given}


REFERENCES = {
    "irnn": (CELLS["rnn"](activation="relu"), {**published("irnn"), "b": np.zeros(3)}),
    "peephole_lstm": (CELLS["peephole"](), published("peephole_lstm")),
    "cifg": (CELLS["cifg"](), published("cifg")),
    "indrnn_tanh": (CELLS["indrnn"](activation="tanh"), published("indrnn_tanh")),
    "janet": (CELLS["janet"](), published("janet")),
    "antisymmetric": (CELLS["antisymmetric"](eps=0.1, gamma=0.05), published("antisymmetric")),
    "cornn": (CELLS["cornn"](dt=0.1, gamma=1.3, epsilon=2.0), _of_cornn()),
    "mingru": (
        CELLS["mingru"](),
        {**published("mingru"), "b_z": np.zeros(3), "b_n": np.zeros(3)},
    ),
    "lru": (CELLS["lru"](), _of_lru()),
    "slstm": (CELLS["slstm"](), _of_slstm()),
    "slstm_unstabilised": (CELLS["slstm"](), _of_slstm()),
    "mlstm": (CELLS["mlstm"](), _of_mlstm()),
    "leaky_voltage": (CELLS["leaky_voltage"](leak=0.2), published("leaky_voltage")),
    "rglru": (CELLS["rglru"](), _of_rglru()),
    "mamba_s6": (CELLS["s6"](d_state=2, dt_rank=1), _of_s6()),
    "layernorm_lstm_ba": (CELLS["layernorm_lstm"](), _of_layernorm_lstm()),
    "sru": (CELLS["sru"](), {**published("sru"), "W_h": np.zeros((3, 3))}),
    "gated_deltanet": (CELLS["gated_deltanet"](epsilon=0.0), _of_gated_deltanet()),
}
"""Name in cells.json: the cell, its parameters."""

THROUGH_OUTPUT = {"mlstm": 2.0, "mamba_s6": 1.0, "gated_deltanet": 1.0}
"""Those whose loss is the sum of the output, to what that is multiplied with: an mLSTM's output
gate is open by half."""


def net_of(name) -> Net:
    cell, params = REFERENCES[name]
    _, _, state, which = PUBLISHED[name]
    x = GIVEN[which]
    sized = cell.sized(3, x.shape[-1])
    s0, ds_T = np.zeros((1, 2, sized.S_all)), np.zeros((1, 2, sized.S_all))
    for part, value in state.items():
        s0[0, :, sized.parts[part].rows] = value.reshape(2, -1)
    if name in THROUGH_OUTPUT:
        ds_T[..., sized.outputs] = THROUGH_OUTPUT[name]
    elif name == "lru":
        ds_T[..., : sized.S] = 1
    else:
        first = "h" if "h" in sized.parts else next(iter(sized.parts))
        ds_T[..., sized.parts[first].rows] = 1
    values = {key: np.asarray(value)[None] for key, value in params.items()}
    assert {*values} == {*sized.parameters}
    return Net(sized, values, x[:, None], s0, ds_T)


def test_every_reference_is_held_to():
    assert [*REFERENCES] == [*CASES["cells"]]


@pytest.mark.parametrize("name", [name for name in REFERENCES if name not in ("slstm", "mlstm")])
def test_the_curves_are_those_of_the_published_code(name):
    case, found = CASES["cells"][name], flow(net_of(name))
    for part, rms in case["part_rms"].items():
        np.testing.assert_allclose(found.parts[part].floats(), rms, rtol=1e-13, err_msg=part)
    np.testing.assert_allclose(found.state.floats(), case["rms_norm"], rtol=1e-13)
    np.testing.assert_allclose(np.exp(found.log_samples), case["norm_per_sample"], rtol=1e-13)


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_a_gauge_takes_e_to_the_m_out_of_what_the_published_code_differentiates(name):
    """Its gradient is by the parts as they are kept, e^-m times the true ones."""
    case, net = CASES["cells"][name], net_of(name)
    cell = net.cell
    dy = net.ds_T[..., cell.outputs] if name in THROUGH_OUTPUT else None
    done = both_ways(DrivenNet(cell, net.params, net.x, net.s0, net.ds_T[..., : cell.S], dy))
    kept, m = done.ds[::-1, 0], done.states[::-1, 0][..., cell.parts["m"].rows]
    found = flow(net)
    for part in (part for part in cell.parts if part != "m"):
        own = kept[..., cell.parts[part].rows]
        rms = np.sqrt((own**2).sum(-1).mean(-1))
        np.testing.assert_allclose(rms, case["part_rms"][part], rtol=1e-13, err_msg=part)
        if part in cell.gauge["m"]:
            own = np.exp(-m) * own
        rms = np.sqrt((own**2).sum(-1).mean(-1))
        np.testing.assert_allclose(found.parts[part].floats(), rms, rtol=1e-13, err_msg=part)
    assert "m" not in found.parts


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_another_gauge_changes_nothing(name):
    """L, and what is reported, are those of (c e^d, n e^d, m - d)."""
    net = net_of(name)
    other = net._replace(s0=net.s0.copy())
    d, (scaled,) = 1.7, net.cell.gauge.values()
    for part in scaled:
        other.s0[..., net.cell.parts[part].rows] *= np.exp(d)
    other.s0[..., net.cell.parts["m"].rows] -= d
    one, two = flow(net), flow(other)
    for part in one.parts:
        np.testing.assert_allclose(two.parts[part].log10(), one.parts[part].log10(), atol=1e-13)
    for role in one.terms:
        np.testing.assert_allclose(two.terms[role].log10(), one.terms[role].log10(), atol=1e-12)
