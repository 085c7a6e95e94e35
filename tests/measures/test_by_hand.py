"""Every measure of nets drawn at random, against equations written out here once more, Jacobians by
complex steps, and products at 60 digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import gradflow
from gradflow.config.load import from_mapping
from gradflow.runs import sampling
from gradflow.runs.runner import execute

MEASURES = ["reach", "jacobian", "gates", "paths", "slopes"]
DIGITS = 60


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn(p, x, s):
    return np.tanh(p["W"] @ x + p["U"] @ s + p["b"]), {}


def lstm(p, x, s):
    h, c = np.split(s, 2)
    i, f, o = (sigmoid(p[f"W_{k}"] @ x + p[f"U_{k}"] @ h + p[f"b_{k}"]) for k in "ifo")
    g = np.tanh(p["W_g"] @ x + p["U_g"] @ h + p["b_g"])
    c = f * c + i * g
    return np.concatenate([o * np.tanh(c), c]), {"i": i, "f": f, "o": o, "g": g}


def gru(p, x, s):
    r, z = (sigmoid(p[f"W_{k}"] @ x + p[f"U_{k}"] @ s + p[f"b_{k}"]) for k in "rz")
    n = np.tanh(p["W_n"] @ x + p["c_n"] + r * (p["U_n"] @ s + p["b_n"]))
    return (1 - z) * n + z * s, {"r": r, "z": z, "n": n}


STEPS = {"rnn": rnn, "lstm": lstm, "gru": gru}


class Drawn:
    """One net with the loss sum(h_T), its states, Jacobians and gates, of every sample."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.name = ("rnn", "lstm", "gru")[seed % 3]
        self.T, self.H, self.N = int(rng.integers(3, 12)), int(rng.integers(1, 5)), 3
        self.config = {
            "cell": self.name, "sequence_length": self.T, "hidden_size": self.H, "seed": seed,
            "batch_size": self.N, "input_size": 2, "bias_scale": 0.5, "loss": "sum",
            "ws_scale": float(rng.uniform(0.3, 3)), "wx_scale": float(rng.uniform(0.3, 3)),
            "initial_state": {"kind": "gaussian", "scale": 0.7},
            "dtype": "float64",
        }  # fmt: skip
        [run] = from_mapping(self.config).runs
        self.p = sampling.parameters(run)[0, 0]
        self.x, s0 = sampling.inputs(run), sampling.initial_state(run)[0, 0]
        step = STEPS[self.name]
        self.s, self.J, self.gates = [s0], [], []
        for x in self.x:
            found = [step(self.p, own, s) for own, s in zip(x, self.s[-1], strict=True)]
            self.J.append([self._jacobian(own, s) for own, s in zip(x, self.s[-1], strict=True)])
            self.s.append(np.array([s for s, _ in found]))
            self.gates.append([gates for _, gates in found])
        self.S = s0.shape[-1]
        self.ds = np.zeros(self.S)
        self.ds[: self.H] = 1

    def _jacobian(self, x, s):
        columns = []
        for i in range(len(s)):
            turned = s.astype(complex)
            turned[i] += 1e-30j
            columns.append(STEPS[self.name](self.p, x, turned)[0].imag / 1e-30)
        return np.array(columns).T

    def gate(self, name):
        return np.array([[own[name] for own in gates] for gates in self.gates])

    def measured(self, *measures, **more):
        [result] = execute(from_mapping({**self.config, **more, "measure": list(measures)}))
        return result.measures


@pytest.fixture(params=range(30), scope="module")
def net(request):
    return Drawn(request.param)


@pytest.fixture(scope="module")
def found(net):
    return net.measured(*MEASURES, {"type": "lyapunov", "transient": 0})


def test_singular_values(net, found):
    largest, rms, least = (np.zeros((net.T + 1, net.N)) for _ in range(3))
    with mpmath.workdps(DIGITS):
        for n in range(net.N):
            M = mpmath.eye(net.S)
            for k in range(1, net.T + 1):
                M = M * mpmath.matrix(net.J[net.T - k][n].tolist())
                values = mpmath.svd_r(M, compute_uv=False)
                logs = [float(mpmath.log10(v)) for v in values]
                largest[k, n], least[k, n] = max(logs), min(logs)
                mean = mpmath.fsum(v**2 for v in values) / net.S
                rms[k, n] = float(mpmath.log10(mean)) / 2
    curves = found["jacobian"].curves
    np.testing.assert_allclose(curves["log10_sigma_max"], largest.mean(axis=1), atol=1e-11)
    np.testing.assert_allclose(curves["log10_sigma_rms"], rms.mean(axis=1), atol=1e-11)
    np.testing.assert_allclose(curves["log10_sigma_min"], least.mean(axis=1), atol=1e-7)
    if net.name == "rnn":
        assert (curves["log10_bound"] >= curves["log10_sigma_max"] - 1e-12).all()


def test_lyapunov_exponents(net, found):
    figures = found["lyapunov"].figures
    volumes = [np.linalg.slogdet(J[n])[1] for J in net.J for n in range(net.N)]
    assert figures["lyapunov_sum"] == pytest.approx(sum(volumes) / net.N / net.T, rel=1e-8)
    M = found["jacobian"].curves["log10_sigma_max"][net.T] * math.log(10) / net.T
    if net.S == 1:
        assert figures["lyapunov_max"] == pytest.approx(M, rel=1e-9)


def test_reach(net, found):
    logs = np.full((net.T + 1, net.T, net.N), np.nan)
    for t in range(1, net.T + 1):
        for n in range(net.N):
            ds = net.ds
            logs[0, t - 1, n] = np.log10(np.linalg.norm(ds))
            for k in range(1, t + 1):
                ds = ds @ net.J[t - k][n]
                logs[k, t - 1, n] = np.log10(np.linalg.norm(ds))
    for p in (10, 50, 90):
        expected = np.nanpercentile(logs.reshape(net.T + 1, -1), p, axis=1)
        np.testing.assert_allclose(found["reach"].curves[f"log10_reach_p{p}"], expected, atol=1e-11)


def test_gates(net, found):
    figures = found["gates"].figures
    if net.name == "rnn":
        assert found["gates"].note is not None
        return
    for name in {"lstm": "ifo", "gru": "rz"}[net.name]:
        values = net.gate(name)
        expected = {
            "mean": values.mean(), "below_0.1": (values < 0.1).mean(),
            "above_0.9": (values > 0.9).mean(),
            **{f"p{p}": np.percentile(values, p) for p in (10, 50, 90)},
        }  # fmt: skip
        for what, value in expected.items():
            assert figures[f"gates_{name}_{what}"] == pytest.approx(value, rel=1e-12, abs=1e-15)
    keeper = {"lstm": "f", "gru": "z"}[net.name]
    scale = figures[f"gates_{keeper}_time_scale_p50"]
    assert -1 / scale == pytest.approx(np.log(np.median(net.gate(keeper))), rel=0.2)


def test_paths(net, found):
    if net.name == "rnn":
        assert found["paths"].note is not None
        return
    keep = net.gate({"lstm": "f", "gru": "z"}[net.name])  # (T, N, H)
    products = np.cumprod(keep[::-1], axis=0)
    expected = np.log10(np.sqrt((products**2).mean(axis=(1, 2))))
    curves = found["paths"].curves
    np.testing.assert_allclose(curves["log10_direct_path"][1:], expected, atol=1e-11)
    onto = np.ones((net.N, net.H))
    if net.name == "lstm":  # h_T is made of c_T
        c = net.s[-1][:, net.H :]
        onto = net.gate("o")[-1] * (1 - np.tanh(c) ** 2)
    for k in range(1, net.T + 1):
        full = [net.ds for _ in range(net.N)]
        for back in range(1, k + 1):
            full = [ds @ net.J[net.T - back][n] for n, ds in enumerate(full)]
        share = np.linalg.norm(onto * products[k - 1]) / np.linalg.norm(full)
        assert curves["direct_share"][k] == pytest.approx(share, rel=1e-9)


def test_slopes(net, found):
    figures = found["slopes"].figures
    if net.name == "rnn":
        every = {"": 1 - np.array(net.s[1:]) ** 2}
        assert figures["gain"] == pytest.approx(np.linalg.norm(net.p["U"]) / net.H**0.5)
    else:
        every = {f"_{k}": net.gate(k) * (1 - net.gate(k)) for k in ("ifo", "rz")[net.name == "gru"]}
        last = "g" if net.name == "lstm" else "n"
        every[f"_{last}"] = 1 - net.gate(last) ** 2
    for name, values in every.items():
        rms, geometric = np.sqrt((values**2).mean()), np.exp(np.log(values).mean())
        assert figures[f"slopes{name}_rms"] == pytest.approx(rms, rel=1e-9)
        # here 1 - tanh² loses digits where it saturates
        assert figures[f"slopes{name}_geometric"] == pytest.approx(geometric, rel=1e-4)
        assert figures[f"slopes{name}_saturated"] == pytest.approx((values < 0.1).mean())


def test_the_share_of_a_stack_is_that_of_all_its_parameters():
    net = {"cell": "lstm", "layers": 2, "hidden_size": 4, "sequence_length": 8}
    (result,) = gradflow.analyze(net)
    running = [flow.share_W_s * float(flow.totals["W_s"]) for flow in
               (part.flow for part in result.layers)]  # fmt: skip
    whole = np.hypot(*running) / float(result.flow.totals["W_s"])
    np.testing.assert_allclose(result.flow.share_W_s, whole, rtol=1e-12)
    assert result.flow.share_W_s[-1] == pytest.approx(1)
