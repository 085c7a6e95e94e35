"""Random cells: each is refused with a documented error, or agrees with the interpreter and with
complex steps."""

from __future__ import annotations

import pytest

from equations.checks import holds
from equations.random_cells import random_cell
from gradflow.equations.mistakes import EquationsError

CI, ALL = 600, 20_000


def judge(seed):
    equations = random_cell(seed)
    try:
        return "judged" if holds(equations, seed, T=3, N=2, R=2) else "beyond floats"
    except EquationsError as refused:
        return "refused" if refused.mistakes else "refused without a reason"
    except Exception as wrong:
        raise AssertionError(
            f"seed {seed}:\n{equations.step}\noutput: {equations.output}"
        ) from wrong


def count(seeds):
    found = {"judged": 0, "refused": 0, "beyond floats": 0}
    for seed in seeds:
        found[judge(seed)] += 1
    return found


@pytest.mark.parametrize("part", range(4))
def test_random_cells_agree_or_are_refused(part):
    found = count(range(part, CI, 4))
    assert found["judged"] > 0.7 * CI / 4


@pytest.mark.parametrize("seed", [17180, 18663])
def test_what_is_made_of_a_new_state_that_the_input_alone_decides(seed):
    assert judge(seed) == "judged"


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(10))
def test_many_random_cells_agree_or_are_refused(part):
    found = count(range(CI + part, CI + ALL, 10))
    assert found["judged"] > 0.7 * ALL / 10
