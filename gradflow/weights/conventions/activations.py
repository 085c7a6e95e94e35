"""The activations that gradflow's cells have, and what is said of a file that has others.

`activation` is that of the state and the candidate, `recurrent_activation` that of the gates; an
rnn has only the first.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradflow.weights.layers import USUAL

CHOICES: dict[str, tuple[str, ...]] = {
    "activation": ("tanh", "relu", "linear", "sigmoid"),
    "recurrent_activation": (
        *("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid", "tanh", "relu", "linear"),
    ),
}


def options_of(cell: str) -> tuple[str, ...]:
    """The names of the options that say a cell's activations."""
    return ("activation",) if cell == "rnn" else tuple(USUAL)


def sort_out(cell: str, found: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Of the activations that a file has by option: those that the cell can have, and what is
    to be said of those that it cannot."""
    given = {option: found[option] for option in options_of(cell) if option in found}
    able = {option: value for option, value in given.items() if value in CHOICES[option]}
    unable = tuple(
        f"{option} {value[:60]} (gradflow has {', '.join(CHOICES[option])})"
        for option, value in given.items()
        if option not in able
    )
    return able, unable
