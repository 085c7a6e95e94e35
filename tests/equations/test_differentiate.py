"""`differentiate`: the chain rule through its vertices is the derivative, at no more operations."""

from __future__ import annotations

import numpy as np
import pytest

from equations.evaluated import drawn, of_weight, passes, sizes, values
from gradflow.cells import CELLS
from gradflow.equations.compile import compiled
from gradflow.equations.declaration import declared
from gradflow.equations.differentiate import STRUCTURED, operands_of, partials
from gradflow.equations.graph import in_order
from nets import LABELS, VARIANTS

STEP = 1e-100


def backward(reduced, derivatives, leaves, given):
    """The cotangent of x and every part of the old state, by the chain rule as it is given, from
    those of the parts of the new one and of the output (None)."""
    nodes = [p.node for into in derivatives.into.values() for _, p in into if p.node is not None]
    known = values(nodes, leaves, reduced.new)
    cotangents, of_output = {}, {}
    for node in derivatives.order:
        total = np.zeros(sizes(node.shape))
        if node.kind in ("new", "out"):
            total = total + given[node.payload] + of_output.get(node.payload, 0.0)
        for down, (factor, partial) in derivatives.into[id(node)]:
            slope = 1.0 if partial is None else known[id(partial)]
            total = total + cotangents[id(down)] * factor * slope
        for slot in derivatives.order:
            if slot.kind == "slot" and id(slot) in cotangents:
                for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True):
                    if use.kind == "matrix" and operand is node:
                        weight = use.factor * of_weight(use.weight, leaves)
                        total = total + weight.T @ cotangents[id(slot)]
        cotangents[id(node)] = total
        if node.kind == "after":
            of_output[node.payload] = total
    return {node.payload or "x": cotangents[id(node)] for node in derivatives.order
            if node.kind in ("previous", "x")}  # fmt: skip


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_the_chain_rule_gives_the_derivative(cell):
    step, reduced, derivatives, _ = passes(cell.equations, cell.options)
    if any(node.kind in STRUCTURED for node in in_order(derivatives.sources)):
        pytest.skip("operations that are not entry by entry are spelt out by the pullback")
    leaves, rng = drawn(step), np.random.default_rng(5)
    results = dict(step.new) if reduced.output is None else {**step.new, None: step.output}
    gauges = [scale for scale, _ in cell.equations.gauge]
    still = [results.pop(scale) for scale in gauges]
    given = {name: rng.standard_normal(sizes(node.shape)) for name, node in results.items()}
    found = backward(reduced, derivatives, leaves, given)
    assert found
    assert not set(found) & set(gauges)
    for name, cotangent in found.items():
        leaf = "x" if name == "x" else f"{name}[t-1]"
        v = rng.standard_normal(leaves[leaf].shape)
        moved = {**leaves, leaf: leaves[leaf] + 1j * STEP * v}
        ahead = values(results.values(), moved, step.new, still)
        slope = sum(
            float((ahead[id(node)].imag / STEP * given[name]).sum())
            for name, node in results.items()
        )
        np.testing.assert_allclose((cotangent * v).sum(), slope, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_eliminated_vertices_cost_no_operation(cell):
    _, reduced, derivatives, _ = passes(cell.equations, cell.options)
    nodes = [n for n in in_order(derivatives.sources) if n.kind not in STRUCTURED and not n.static]
    kept = sum(not arg.static for node in nodes for arg, _ in partials(reduced.graph, node))
    assert sum(map(len, derivatives.into.values())) <= kept


def test_every_vertex_comes_after_those_that_it_needs():
    for cell in VARIANTS:
        *_, derivatives, _ = passes(cell.equations, cell.options)
        place = {id(node): number for number, node in enumerate(derivatives.order)}
        for key, into in derivatives.into.items():
            assert all(place[id(down)] < place[key] for down, _ in into)


def test_a_gauge_carries_no_derivative():
    made = declared({
        "state": {"c": "H", "m": "H"}, "parameters": {"W": ["H", "I"]}, "gauge": {"m": ["c"]},
        "step": "m[t] = max(m[t-1], W @ x[t])\nc[t] = exp(m[t-1] - m[t]) * c[t-1] + W @ x[t]",
    })  # fmt: skip
    *_, derivatives, _ = passes(made)
    assert [node.payload for node in derivatives.sources] == ["c"]
    assert not any(n.kind == "previous" and n.payload == "m" for n in derivatives.order)


def test_a_sum_of_hundreds_of_products_is_one_sum():
    count = 350
    lines = [f"a{k} = p{k} * h[t-1]" for k in range(count)]
    lines.append(f"h[t] = tanh(W @ x[t] + {' + '.join(f'a{k}' for k in range(count))})")
    parameters = {"W": ["H", "I"], **{f"p{k}": "H" for k in range(count)}}
    plain = {"state": {"h": "H"}, "parameters": parameters, "step": "\n".join(lines)}
    equations = declared(plain)
    assert compiled(equations, {}).code.source


@pytest.mark.parametrize(("name", "partials"), [("cifg", 5), ("slstm", 9), ("lstm", 6), ("gru", 5)])
def test_no_vertex_is_taken_out_at_a_cost(name, partials):
    """Numbers that a unit keeps for each step: two more of cifg and slstm, were one taken out."""
    assert CELLS[name]().sized(4, 3).local == 4 * partials
