"""CSV (RFC 4180, LF): one header, one row per run and lag, written as the runs arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gradflow.columns import Array
from gradflow.exporters.columns import MAGNITUDES, PERCENTILES, percentiles
from gradflow.exporters.lags import all_lags
from gradflow.exporters.view import View
from gradflow.logspace import Magnitudes
from gradflow.results import AXES, NET_AXES, GradientFlow, Result

_NORM, *_OTHERS = MAGNITUDES
_PART = (*NET_AXES, "layer", "direction")
HEADER = ("run", *AXES, "lag", _NORM, f"log10_{_NORM}", *_OTHERS, "share_W_s", *_PART)
HEADER += PERCENTILES

_BLOCK = 4096  # rows held as text at a time


def export(results: Iterable[Result], view: View) -> Iterator[str]:
    """The header, then the rows of each run in blocks of some thousand."""
    yield ",".join(HEADER) + "\n"
    for result in results:
        start = _fields(result.run, *(result.axes[axis] for axis in AXES)) + ","
        lags = all_lags(result.sequence_length, view.lags)
        for flow, layer, direction in _curves(result):
            part = _fields(*(result.axes[axis] for axis in NET_AXES), layer, direction)
            columns = [*_columns(flow), part, *percentiles(flow).values()]
            for at in range(0, len(lags), _BLOCK):
                yield _block(start, lags[at : at + _BLOCK], columns)


def _curves(result: Result) -> Iterator[tuple[GradientFlow | None, str, str]]:
    """(curve, layer, direction): the whole net, where it has one state, then each of its parts."""
    if result.flow is not None or not result.layers:
        yield result.flow, "", ""
    for part in result.layers:
        yield part.flow, str(part.layer), part.direction


def _fields(*values: object) -> str:
    texts = (str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    return ",".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    """`text` as a CSV field, in quotes only where it has to be."""
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _columns(flow: GradientFlow | None) -> list[Magnitudes | Array | None]:
    """What stands right of the lag, in order; None: empty throughout."""
    if flow is None:
        return [None] * (len(MAGNITUDES) + 2)
    norm, *others = (magnitudes(flow) for magnitudes in MAGNITUDES.values())
    return [norm, flow.state.log10(), *others, flow.share_W_s]


def _block(start: str, lags: Array, columns: Iterable[Magnitudes | Array | str | None]) -> str:
    """The rows of some lags; `start` holds the run and its axes."""
    texts = [list(map(str, lags.tolist())), *(_texts(column, lags) for column in columns)]
    rows = map(",".join, zip(*texts, strict=True))
    return start + f"\n{start}".join(rows) + "\n"


def _texts(column: Magnitudes | Array | str | None, lags: Array) -> Sequence[str]:
    """The column's fields at `lags`, empty past its end and where it is NaN; a text at each."""
    if column is None or isinstance(column, str):
        return [column or ""] * len(lags)
    there = lags[: np.searchsorted(lags, len(column))]
    if isinstance(column, Magnitudes):
        texts = column[there].texts()
    else:
        texts = ["" if value != value else repr(value) for value in column[there].tolist()]
    return texts + [""] * (len(lags) - len(there))
