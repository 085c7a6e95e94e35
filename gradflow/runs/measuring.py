"""Measures that a config asks for, applied to the runs of a bundle: of what each is, and by whom.

A measure is of the net as a whole or of one place of it (`Measure.scope`), and is found by watching
the backward pass or by its own passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradflow.engine.network import Losses, NetTrajectory, Place
from gradflow.measures import MEASURES
from gradflow.measures.contract import Asked, Measure, OneLoss, Subject, Watcher
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.runs.experiment import Run

Of = Place | None
"""A place of a net, or the net as a whole."""


class Measuring:
    """What is to be measured of R runs besides the gradient.

    Attributes:
        watchers: who is to be shown the blocks of each place, in the backward pass of the loss.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        net: NetTrajectory,
        ds_T: Mapping[Place, Array],
        losses: Losses | None = None,
        one_loss: OneLoss | None = None,
    ) -> None:
        self._runs, self._net, self._ds_T = runs, net, ds_T
        self._losses, self._one_loss = losses, one_loss
        self._asked = {asked.name: asked for asked in runs[0].measures}
        self._watching: dict[tuple[str, Of], Watcher] = {}
        self.watchers: dict[Place, list[Watcher]] = {}
        for name, asked, measure in self._named():
            if measure.observe is None:
                continue
            for of, subject in self._subjects(measure):
                watcher = measure.observe(subject, **asked.options)
                self._watching[name, of] = watcher
                self.watchers.setdefault(subject.place, []).append(watcher)

    def found(self) -> list[dict[Of, dict[str, Measured]]]:
        """By run, place or whole, and measure; once the backward pass of the loss is done."""
        found: list[dict[Of, dict[str, Measured]]] = [{} for _ in self._runs]
        for name, asked, measure in self._named():
            for of, subject in self._subjects(measure):
                if measure.observe is not None:
                    measured = self._watching[name, of].found()
                else:
                    assert measure.of is not None
                    measured = measure.of(subject, **asked.options)
                for own, one in zip(found, measured, strict=True):
                    own.setdefault(of, {})[name] = one
        return found

    def _named(self) -> Iterator[tuple[str, Asked, Measure]]:
        for name, asked in self._asked.items():
            yield name, asked, MEASURES[name]

    def _subjects(self, measure: Measure) -> Iterator[tuple[Of, Subject]]:
        """What a measure is of: places of the net, or all of it."""
        places = tuple(self._net.places)
        settings = tuple(map(_settings, self._runs))
        is_whole = self._net.directions == 1 and measure.scope != "place"
        if is_whole or len(places) == 1:
            yield None, self._subject(places, settings)
        if len(places) > 1 and not (is_whole and measure.scope == "net"):
            for at in places:
                yield at, self._subject((at,), settings)

    def _subject(
        self, places: tuple[Place, ...], settings: tuple[Mapping[str, object], ...]
    ) -> Subject:
        return Subject(self._net, self._ds_T, places, settings, self._losses, self._one_loss)


def _settings(run: Run) -> dict[str, object]:
    signal = {"input_kind": run.input.kind, "input_scale": run.input.scale}
    return {**run.axes, **run.cell.options, **signal, "trained": run.trained is not None}
