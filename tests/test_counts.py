"""One of anything is written without the s."""

from __future__ import annotations

import pytest

from gradflow import axes
from gradflow.counts import many


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0, "run"), "0 runs"),
        ((1, "run"), "1 run"),
        ((1204, "run"), "1,204 runs"),
        ((1, "index", "indices"), "1 index"),
        ((2, "index", "indices"), "2 indices"),
        (("1", "decade"), "1 decade"),
        (("1.00", "step"), "1.00 steps"),
    ],
)
def test_how_many(given, text):
    assert many(*given) == text


def test_layers_are_counted_in_the_names_of_runs_too():
    assert [axes.phrase("layers", n) for n in (1, 2)] == ["1 layer", "2 layers"]
