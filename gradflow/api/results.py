"""The results of an experiment, as a sequence that shows, saves and draws itself."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np

from gradflow.api.choosing import chosen
from gradflow.api.equality import same
from gradflow.api.joining import both, look_of, told_apart
from gradflow.api.saving import save
from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.formats.look import Look, Theme, known_theme
from gradflow.numerics.arrays import Array
from gradflow.output.terminal import prompt_width
from gradflow.results import Result
from gradflow.runs.experiment import Experiment

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]
    import polars
    import xarray
    from matplotlib.figure import Figure

    from gradflow.api.frames import Rows

_SHOWN = 12  # runs in a notebook's cell, before the rest is counted


class Results(Sequence[Result]):
    """The results of an experiment, one `Result` a run, in the order of the sweep.

        >>> import gradflow
        >>> results = gradflow.analyze({"cell": "gru", "hidden_size": 16, "seed": [0, 1, 2]})
        >>> len(results), results[0]
        (3, <Result 0: seed 0, vanishing, rate 0.6479, horizon 16>)
        >>> frame = results.to_pandas()  # a row a run and lag, the columns of the CSV
        >>> frame.pivot(index="lag", columns="seed", values="relative").shape
        (101, 3)
        >>> results.to_polars("runs").select("seed", "verdict").rows()
        [(0, 'vanishing'), (1, 'vanishing'), (2, 'vanishing')]
        >>> dict(results.to_xarray().relative.sel(lag=slice(0, 10)).sizes)
        {'seed': 3, 'lag': 11}
        >>> results.save("flow.csv")

    `str` is the table that `gradflow analyze` prints, a notebook shows a row a run, `plot()` draws.
    `look` says how they are shown: title, thresholds, which lags.

    Runs of several experiments are joined by `+`, or by `Results([run, ...])` of any you have; what
    differs between them is found anew, and runs of one number are numbered again.

        >>> longer = gradflow.analyze({"cell": "gru", "hidden_size": 16, "sequence_length": 200})
        >>> joined = results[:1] + longer
        >>> [(run.run, run.varied) for run in joined]
        [(0, ('sequence_length',)), (1, ('sequence_length',))]

    Args:
        results: the runs.
        look: how they are shown; None: as the runs themselves say, without a title.

    Raises:
        InputError: the thresholds of the runs differ, or those of the look do.
        TypeError: what is given is no runs.
    """

    look: Look

    def __init__(self, results: Iterable[Result], look: Look | None = None) -> None:
        if look is None and isinstance(results, Results):
            look = results.look
        self._results = told_apart(results)
        self.look = look_of(self._results, look)

    @staticmethod
    def of(experiment: Experiment, results: Iterable[Result]) -> Results:
        """Those of an experiment."""
        return Results(results, Look.of(experiment))

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Result: ...
    @overload
    def __getitem__(self, index: slice | Iterable[int] | Iterable[bool] | Array) -> Results: ...
    def __getitem__(self, index: Any) -> Result | Results:
        """A run by its place among these, from 0, whatever its `run` says; runs by a slice, by
        places, or by a truth for each run, as a list, an array or a column of a data frame:
        `results[frame.cell == "gru"]`, where `frame` is `results.to_pandas(rows="runs")`. A column
        of pandas may be in another order: its index says which run a truth is of. A truth that is
        missing counts as false.

        Raises:
            IndexError: there is no such run, or a truth is not there for each.
        """
        if isinstance(index, slice):
            return Results(self._results[index], self.look)
        if isinstance(index, SupportsIndex) and not isinstance(index, Iterable):
            (number,) = chosen([index.__index__()], len(self))
            return self._results[number]
        return Results((self._results[at] for at in chosen(index, len(self))), self.look)

    def __add__(self, other: Iterable[Result]) -> Results:
        """The runs of both, these first.

        Raises:
            InputError: their thresholds differ.
        """
        if not isinstance(other, Results | list | tuple):
            return NotImplemented
        more = Results(other)
        if not self or not more:
            return self or more
        return Results([*self, *more], both(self.look, more.look))

    def __radd__(self, other: Any) -> Results:
        """The same of a list and results, and of the 0 that `sum` begins with."""
        if isinstance(other, list | tuple):
            return Results(other) + self
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Whether the runs are the same to the last bit, however they are to be shown."""
        if not isinstance(other, Results):
            return NotImplemented
        return same(self._results, other._results)

    def __hash__(self) -> int:
        return hash(tuple(map(repr, self._results)))

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __getattr__(self, name: str) -> Any:
        """Says where something is that a run has."""
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in ("axes", "diagnosis", "flow", "layers", "loss", "measures", "options"):
            message += f"; each of its runs has one: results[0].{name}"
        raise AttributeError(message)

    def __repr__(self) -> str:
        """`<Results: 9 runs, 8 vanishing, 1 stable>`."""
        counts = Counter(result.diagnosis.verdict for result in self._results)
        runs = many(len(self), "run")
        return f"<Results: {', '.join([runs, *(f'{n} {v}' for v, n in counts.items())])}>"

    def _repr_html_(self) -> str:
        """A row a run, and a layer of its net, for a notebook: the summary of the table."""
        from gradflow.formats import words
        from gradflow.formats.parts import with_parts

        rows = with_parts(self._results)
        some = rows[:_SHOWN]
        differ = bool(some and some[0].varied)
        columns = (
            words.identity(some) if differ else {"cell": [str(one.axes["cell"]) for one in some]}
        )
        columns |= {
            "rate per step": [words.rate_with_error(one.diagnosis) for one in some],
            "half-life in steps": [words.half_life(one.diagnosis) for one in some],
            "horizon": [words.horizon(one) for one in some],
            "verdict": [words.outcome(one) for one in some],
        }
        head = _html_row("th", columns)
        body = "".join(_html_row("td", row) for row in zip(*columns.values(), strict=True))
        more = len(rows) - len(some)
        rest = f"<p>and {more:,} more</p>" if more else ""
        return (
            f"<p>{html.escape(repr(self)[1:-1])}</p>"
            f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{rest}"
        )

    def __str__(self) -> str:
        """The tables that `gradflow analyze` prints."""
        from gradflow.formats import FORMATS

        shown = FORMATS["table"].show(
            "results", self._results, replace(self.look, width=prompt_width())
        )
        return "".join(map(str, shown)).rstrip("\n")

    def columns(self, rows: Rows = "lags") -> dict[str, Any]:
        """The columns of the CSV by name: numbers as float arrays (0 or inf where a magnitude is
        outside float range, NaN if there is none), whole numbers, lists of texts.

        Args:
            rows: `lags`, a row per run, place and lag; or `runs`, a row a run with its settings,
                diagnosis, totals and measures.
        """
        from gradflow.api.frames import columns

        return columns(self._results, self.look, rows)

    def to_pandas(self, rows: Rows = "lags") -> pandas.DataFrame:
        """A pandas data frame with the columns of the CSV; `rows` as for `columns`."""
        from gradflow.api.frames import kinds

        library, columns, kind = _library("pandas"), self.columns(rows), kinds(self.look)
        frame: pandas.DataFrame = library.DataFrame(columns)
        words = [name for name in columns if kind(name) in ("text", "word")]
        text = library.Series(["a"]).dtype  # `str` from pandas 3 on, before it `object`
        return frame.astype(dict.fromkeys(words, text))

    def to_polars(self, rows: Rows = "lags") -> polars.DataFrame:
        """A polars data frame with the columns of the CSV, null if there is no number; `rows` as
        for `columns`."""
        from gradflow.api.frames import kinds

        library, columns, kind = _library("polars"), self.columns(rows), kinds(self.look)
        types = {"whole": library.Int64, "truth": library.Boolean}
        types |= dict.fromkeys(("text", "word"), library.String)
        own: dict[Any, Any] = {
            name: types[str(kind(name))] for name in columns if kind(name) in types
        }
        frame: polars.DataFrame = library.DataFrame(columns, strict=False, nan_to_null=True)
        return frame.cast(own)

    def to_xarray(self) -> xarray.Dataset:
        """An xarray dataset: the curves over what the sweep varies and `lag` (in nets of layers
        also `place`: net, l0, l0_reverse, ...), the figures of a run over what the sweep varies;
        over `run` where two runs have the same settings, or where most of a grid would be empty."""
        from gradflow.api.dataset import dataset

        found: xarray.Dataset = dataset(_library("xarray"), self._results, self.look)
        return found

    def save(self, path: str | PathLike[str], *, theme: Theme = "auto") -> None:
        """Write a file in the format of its suffix: .json (which `load_results` reads back), .csv,
        .md, .txt, .html, .svg, .png, .pdf; whole or not at all.

        Args:
            path: of the file.
            theme: the page that a figure is for, `light` or `dark`; `auto`: an SVG follows its
                reader, the others are for a light one.

        Raises:
            InputError: no format has this suffix, or the file cannot be written.
        """
        save(path, "results", self._results, self.look, theme)

    def plot(self, ax: Any = None, *, theme: Theme = "auto") -> Figure | Any:
        """Draw the gradient against lag, and, in its own figure, what else was measured.

        Args:
            ax: matplotlib axes to draw the gradient into, and it alone, or an array of them, as
                `plt.subplots` gives it: as many as the results take panels (several runs share
                one), or as there are runs. Their scales are linear and hold log10: 1e-3 is at
                `ax.axhline(-3)`. What is drawn into the same axes later is added, a colour each,
                with its name for `ax.legend()`. None: a new figure.
            theme: the page it is for, `light` or `dark`, which the figure of `ax` becomes too;
                `auto`: a light one, or as the figure of `ax` is.

        Returns:
            The figure, or the axes that were given.

        Raises:
            InputError: matplotlib is not installed, there is nothing to draw, or `ax` is no axes,
                not as many as there are panels or runs, or holds data on a log scale.
        """
        from gradflow.formats import plots

        look = replace(self.look, theme=known_theme(theme))
        if ax is None:
            return plots.figure(self._results, look)
        plots.into(ax, self._results, look)
        return ax


def _html_row(tag: str, texts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"


def _library(name: str) -> Any:
    """A data frame library, where it is installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise InputError(f"this needs {name}: pip install {name}") from None
