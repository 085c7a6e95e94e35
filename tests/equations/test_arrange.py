"""`arrange`: every slot once, those of the input product first, and neighbours that share work."""

from __future__ import annotations

import pytest

from equations.evaluated import passes
from gradflow.cells import GRU, LSTM
from gradflow.equations.arrange import is_hoisted
from gradflow.equations.declaration import declared
from gradflow.equations.graph import in_order
from nets import LABELS, VARIANTS


def many(count):
    """A cell of so many gates."""
    gates = range(count)
    names = {
        f"{letter}_{k}": ["H", "I" if letter == "W" else "H"] for k in gates for letter in "WU"
    }
    lines = [f"g_{k} = sigmoid(W_{k} @ x[t] + U_{k} @ h[t-1])" for k in gates]
    whole = " * ".join(f"g_{k}" for k in gates)
    text = "\n".join([*lines, f"h[t] = {whole}"])
    return declared({"state": {"h": "H"}, "parameters": names, "step": text})


ALL = [*((cell.equations, cell.options) for cell in VARIANTS), (many(7), {}), (many(20), {})]


@pytest.mark.parametrize(("made", "options"), ALL, ids=[*LABELS, "seven", "twenty"])
def test_each_slot_has_its_place_and_the_hoisted_come_first(made, options):
    _, reduced, _, arranged = passes(made, options)
    roots = [*reduced.new.values(), *([reduced.output] if reduced.output is not None else [])]
    slots = {id(node) for node in in_order(roots) if node.kind == "slot"}
    assert sorted(map(id, arranged.slots)) == sorted(slots)
    hoisted = [is_hoisted(slot) for slot in arranged.slots]
    assert hoisted == sorted(hoisted, reverse=True)
    assert arranged.hoisted == sum(hoisted)


@pytest.mark.parametrize(("made", "options"), ALL, ids=[*LABELS, "seven", "twenty"])
def test_what_is_done_at_once_is_done_to_neighbours(made, options):
    *_, arranged = passes(made, options)
    place = {id(slot): number for number, slot in enumerate(arranged.slots)}
    together = [p.slots for products in arranged.products.values() for p in products]
    for slots in [*together, *arranged.groups]:
        first = place[id(slots[0])]
        assert [place[id(slot)] for slot in slots] == list(range(first, first + len(slots)))
    grouped = [id(slot) for group in arranged.groups for slot in group]
    assert len(grouped) == len(set(grouped))


def test_an_lstm_is_one_product_and_one_sigmoid_over_three_gates():
    cell = LSTM()
    *_, arranged = passes(cell.equations, cell.options)
    ((product,),) = arranged.products.values()
    assert len(product.slots) == 4
    assert sorted(map(len, arranged.groups)) == [1, 3]


def test_a_gru_adds_what_its_reset_gate_parts_behind_the_input_product():
    cell = GRU()
    *_, arranged = passes(cell.equations, cell.options)
    ((product, *more),) = arranged.products.values()
    assert sum(len(p.slots) for p in (product, *more)) == 3
    assert 2 in map(len, arranged.groups)


@pytest.mark.parametrize("count", [7, 20])
def test_gates_alike_share_one_product_and_one_function(count):
    *_, arranged = passes(many(count))
    ((product,),) = arranged.products.values()
    assert len(product.slots) == count
    assert [len(group) for group in arranged.groups] == [count]
