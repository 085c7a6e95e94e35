"""The axes: what may differ between the runs of an experiment, and what each is called where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from gradflow.counts import many

Kind = Literal["text", "word", "whole", "number", "interval", "truth"]
"""What a single value is; a number may be unknown, a word missing."""


class Axis(NamedTuple):
    """One thing that runs may differ in.

    Attributes:
        name: the key of the config, the column of a CSV, the key of a JSON run.
        kind: what its values are.
        symbol: what heads a column for people: the field's letters where it has some.
        phrase: a value as it reads next to others, with `{}` for the value; of a number of things
            the noun of one.
        meaning: in words.
        plain: the value that goes without saying, and that results have that were saved before
            there was this axis.
        is_scale: whether it is a number that weights are multiplied by, and so can be varied.
    """

    name: str
    kind: Kind
    symbol: str
    phrase: str
    meaning: str = "what the config says"
    plain: object = None
    is_scale: bool = False


_RUN = (
    Axis(
        "cell",
        "text",
        "cell",
        "{}",
        "its short label; options that differ from their default in brackets",
    ),
    Axis("sequence_length", "whole", "T", "T={}"),
    Axis("hidden_size", "whole", "H", "H={}"),
    Axis("input_size", "whole", "I", "I={}"),
    Axis("batch_size", "whole", "N", "N={}"),
    Axis("ws_init", "word", "W_s", "W_s {}"),
    Axis("ws_scale", "number", "W_s×", "W_s×{}", is_scale=True),
    Axis("wx_init", "text", "W_x", "W_x {}"),
    Axis("wx_scale", "number", "W_x×", "W_x×{}", is_scale=True),
    Axis("bias_scale", "number", "bias×", "bias×{}", is_scale=True),
    Axis("seed", "whole", "seed", "seed {}"),
)
_NET = (
    Axis("layers", "whole", "layers", "layer", plain=1),
    Axis("bidirectional", "truth", "bidirectional", "bidirectional", plain=False),
)

KNOWN = {axis.name: axis for axis in (*_RUN, *_NET)}
"""Every axis by its name."""

_LONG = 9  # characters of a number that is shown whole


def shown(value: object) -> str:
    """A setting's value; of a number that a range or a computation gave, six digits."""
    text = str(value)
    return f"{value:.6g}" if isinstance(value, float) and len(text) > _LONG else text


def phrase(axis: str, value: object) -> str:
    """A setting as it reads next to others: `W_s×1.5`, `T=100`, `seed 2`."""
    form = KNOWN[axis].phrase if axis in KNOWN else axis + " {}"
    return many(shown(value), form) if axis == "layers" else form.format(shown(value))


AXES = tuple(axis.name for axis in _RUN)
"""Their names, in the order of the columns of a CSV, left of the lag."""

SCALES = tuple(axis.name for axis in _RUN if axis.is_scale)
"""Those that weights are multiplied by."""

NET_AXES = tuple(axis.name for axis in _NET)
"""Those right of what is measured: how many layers, and whether each runs in both directions."""

PLACE_AXES = ("layer", "direction")
"""What differs between the places of one net."""


def varied(runs: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Those of the axes that differ between the runs that have them; each run by its axes."""
    found = list(runs)
    return tuple(
        name
        for name in (*AXES, *NET_AXES)
        if len({values.get(name) for values in found} - {None}) > 1
    )
