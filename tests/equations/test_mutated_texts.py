"""Texts with characters taken out, put in and changed: each is refused with a documented error, or
is a cell whose derivatives hold."""

from __future__ import annotations

import dataclasses
import random

import pytest

from equations.checks import holds
from equations.published import CELLS
from gradflow.cells import CELLS as SHIPPED
from gradflow.equations.mistakes import EquationsError

PIECES = [*"()[]+-*/@.,=:# \n'\"0123456789", "[t]", "[t-1]", "[t-2]", ".T", "**", "h", "x", "W",
          "tanh(", "sum(", "max(", "if", "else", "==", "1e309", "é", "\x00"]  # fmt: skip
TEXTS = [made for made, *_ in CELLS.values()] + [cell.equations for cell in SHIPPED.values()]


def mutated(seed):
    """A text with one to four changes; no gauge, a claim about the equations unchanged."""
    draw = random.Random(seed)
    made = draw.choice(TEXTS)
    step = made.step
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(step) + 1)
        end = min(len(step), at + draw.choice((0, 0, 1, 1, 3)))
        step = step[:at] + draw.choice(["", *PIECES]) + step[end:]
    return dataclasses.replace(made, step=step, gauge=())


def check(seeds):
    refused = 0
    for seed in seeds:
        made = mutated(seed)
        try:
            holds(made, seed, T=2, N=1, H=3, I=3)
        except EquationsError as wrong:
            refused += bool(wrong.mistakes)
        except Exception as wrong:
            raise AssertionError(f"seed {seed}:\n{made.step}") from wrong
    return refused


def test_mutated_texts_are_refused_or_hold():
    assert check(range(300)) > 150


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(10))
def test_many_mutated_texts_are_refused_or_hold(part):
    assert check(range(1000 + part, 21_000, 10)) > 1000
