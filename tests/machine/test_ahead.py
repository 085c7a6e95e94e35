"""What comes ahead is made by the caller while helpers are at long work."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gradflow.machine.threads import ahead, share, sharing

pytestmark = pytest.mark.usefixtures("nobody_is_left")


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_what_comes_ahead_comes_once_and_in_order(gate, shared, count, length):
    made, done = [], np.zeros((length, 3, 4), int)

    def numbers():
        for number in range(length):
            made.append(number)
            yield number

    with sharing(count):
        for number in ahead(numbers()):
            assert made == list(range(number + 1))
            for turn, long in enumerate((False, True, True)):

                def some(part, own=done[number, turn]):
                    own[part] += 1

                share(some, 4, long=long)
                following = number + 1 + (long and count > 1)
                assert made == list(range(min(length, following)))
    assert made == list(range(length))
    assert (done == 1).all()


def test_the_next_is_made_while_others_are_at_work(gate, shared):
    """Both have to be at it for either to go on; the one that makes it is the caller."""
    both, me = threading.Barrier(2), threading.get_ident()

    def numbers():
        yield 0
        assert threading.get_ident() == me
        both.wait(timeout=20)
        yield 1

    with sharing(2):
        for number in ahead(numbers()):
            if number == 0:
                share(lambda part: both.wait(timeout=20), 1, long=True)


@pytest.mark.parametrize("fails", ["maker", "piece"])
def test_what_goes_wrong_ahead_is_raised_and_leaves_nobody(gate, shared, fails):
    def fail(who):
        if fails == who:
            raise ZeroDivisionError(who)

    def numbers():
        yield 0
        yield fail("maker")

    def analyse():
        for _ in ahead(numbers()):
            share(lambda part: fail("piece"), 3, long=True)

    with sharing(2), pytest.raises(ZeroDivisionError, match=fails):
        analyse()


def test_the_next_is_made_as_outside_of_the_work(gate, shared):
    def numbers():
        yield 0
        yield np.geterr()["over"]

    with sharing(2), np.errstate(over="raise"):
        found = []
        for item in ahead(numbers()):
            with np.errstate(over="ignore"):
                share(lambda part: None, 2, long=True)
            found.append(item)
    assert found == [0, "raise"]


def test_nothing_is_made_for_whoever_has_left(gate, shared):
    made = []

    def numbers():
        for number in range(3):
            made.append(number)
            yield number

    with sharing(2):
        items = ahead(numbers())
        assert next(items) == 0
        items.close()
        share(lambda part: None, 2, long=True)
    assert made == [0]
