"""How a report is to be shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from gradflow.errors import InputError

if TYPE_CHECKING:
    from gradflow.checks.judge import Judgement
    from gradflow.runs.experiment import Experiment

Lags = Literal["auto", "all"] | tuple[int, ...]

Theme = Literal["auto", "light", "dark"]
"""The page that a figure is for; `auto`: an SVG follows its reader, all else is for a light one."""


def known_theme(theme: object) -> Theme:
    """The theme that is asked for.

    Raises:
        InputError: there is none of this name.
    """
    if theme not in get_args(Theme):
        raise InputError(f"theme: expected auto, light or dark, found {theme!r}")
    return cast(Theme, theme)


@dataclass(frozen=True)
class Look:
    """How the results of one experiment are to be shown.

    Attributes:
        title: the user's own title, plain text.
        config: the experiment as plain data (for the JSON).
        made: the head of the file that the results were read from; None: they were made here.
        lags: which lags tables show: about 20, all, or these. CSV holds all lags unless this is a
            tuple, JSON always.
        parts: the parts of the states of the experiment's cells; one that is neither h nor c has a
            column of the CSV.
        varied: the axes that differ between the runs of the experiment.
        options: the options of the experiment's cells, a column of the CSV each.
        measures: the names of the measures that are asked for, in their order.
        thresholds: the relative gradient below which it vanishes and above which it explodes,
            0 < vanishing < 1 < exploding.
        width: columns that a table may take.
        colour: whether a table may hold escape sequences.
        theme: the page that figures are for; that of a page itself.
        over: `seed` where runs that differ in it alone were made one; None: runs are runs.
        judgements: what a training's results were held to; a page shows it.
        sources: the files that are compared, by name, each with the head of what is in it.
        tables: whether a table shows every lag, or tensor, too; None: only if there are few.
    """

    title: str | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    made: Mapping[str, object] | None = None
    lags: Lags = "auto"
    parts: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    thresholds: tuple[float, float] = (1e-3, 1e3)
    width: int = 80
    colour: bool = False
    tables: bool | None = None
    theme: Theme = "auto"
    over: str | None = None
    judgements: tuple[Judgement, ...] = ()
    sources: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment, **shown: Any) -> Look:
        """How the results of this experiment are shown, but for what `shown` sets."""
        return cls(
            title=experiment.title,
            config=experiment.config,
            lags=experiment.lags,
            parts=experiment.parts,
            varied=experiment.varied,
            options=experiment.options,
            measures=tuple(one.name for one in experiment.measures),
            thresholds=experiment.thresholds,
            **shown,
        )

    @property
    def log10_thresholds(self) -> tuple[float, float]:
        """The thresholds' logarithms."""
        vanishing, exploding = self.thresholds
        return math.log10(vanishing), math.log10(exploding)
