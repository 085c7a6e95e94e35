"""One expectation of a config: which runs, which figures, which bounds; each fault by its line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from gradflow.axes import AXES, NET_AXES, Kind
from gradflow.cells import CELLS
from gradflow.checks.figures import WORDS, curves, kind_of, kinds, measure_of
from gradflow.checks.foreseen import lacks, last_lag
from gradflow.checks.wanted import Setting, Wanted, allows, setting_text, strays, without_place
from gradflow.config.faults import MOST, Faults
from gradflow.config.messages import shown
from gradflow.config.tree import Path, Tree
from gradflow.errors import nearest
from gradflow.runs.experiment import Experiment, Run

BOUNDS = ("min", "max", "is")
_FORM = "a mapping such as {where: {cell: lstm}, horizon: {min: 100}}"
_FIGURE = "a number, or a mapping such as {min: 0.98, max: 1.02}"
_MOST_SHOWN = 8  # values that a message lists
_INFINITE = {
    **dict.fromkeys(("inf", "infinity", "infinite"), ": write .inf"),
    **dict.fromkeys(("-inf", "-infinity", "-infinite"), ": write -.inf"),
}
"""What is said of a bound that other languages would read as a number."""


class Reader:
    """Reads one expectation after the other."""

    def __init__(
        self,
        faults: Faults,
        experiment: Experiment | None,
        asked: Sequence[str],
        parts: Sequence[str],
        known: Mapping[str, Sequence[Setting]] | None = None,
    ) -> None:
        """`known`: the values of settings that are known where there is no experiment."""
        self.document, self.experiment = faults.document, experiment
        self.faults, self.asked, self.known = faults, asked, known or {}
        self.kinds, self.curves = kinds(asked), curves(parts, asked)

    def item(self, item: Tree, path: Path, number: int) -> list[Wanted]:
        """One mapping of the list."""
        if not isinstance(item, dict):
            self.faults.add(path, f"expected {_FORM}, found {shown(item)}")
            return []
        where = self._where(item.get("where", {}), (*path, "where"))
        runs = self._runs(where, item.get("where"), (*path, "where"))
        lenient = item.get("allow_undecided", False)
        if not isinstance(lenient, bool):
            message = f"expected true or false, found {shown(lenient)}"
            self.faults.add((*path, "allow_undecided"), message)
        names = [name for name in item if name not in ("where", "allow_undecided")]
        if not names:
            self.faults.add(path, "names no figure: add one, such as horizon: {min: 100}")
        found = []
        for name in names:
            if len(self.faults.found) >= MOST:
                break  # the nearest name of each takes time
            one = self._figure(name, item[name], (*path, name), runs)
            if one is not None:
                one = replace(one, where=where or {}, allow_undecided=lenient is True)
                source, line = self._origin((*path, name))
                found.append(replace(one, line=line, source=source, item=number))
        return found

    def _origin(self, path: Path) -> tuple[str | None, int | None]:
        """Where a figure was asked for, in whole or in part: `--set ...`, or the file and line."""
        for at, option in reversed(self.faults.given.items()):
            if at[: len(path)] == path[: len(at)]:
                return option, None
        line = self.document.mark(path, key=True).line if self.document.marks else None
        return self.document.source, line

    # Which runs

    def _where(self, given: Tree, path: Path) -> dict[str, tuple[Setting, ...]] | None:
        """None where something is wrong with it."""
        if not isinstance(given, dict):
            form = "a mapping such as {cell: lstm, ws_scale: 1.0}"
            self.faults.add(path, f"expected {form}, found {shown(given)}")
            return None
        sound = True
        for name, value in given.items():
            values = value if isinstance(value, list) else [value]
            if name not in self._settings():
                self.faults.add((*path, name), self._unknown_setting(name), key=True)
                sound = False
            elif not values or not all(map(_is_setting, values)):
                form = "a value, or a list of them"
                self.faults.add((*path, name), f"expected {form}, found {shown(value)}")
                sound = False
        if not sound:
            return None
        return {
            name: tuple(cast("list[Setting]", value if isinstance(value, list) else [value]))
            for name, value in given.items()
        }

    def _settings(self) -> dict[str, None]:
        """The names that a `where` may have."""
        options = self.experiment.options if self.experiment else _all_options()
        return dict.fromkeys((*AXES, *NET_AXES, *options))

    def _unknown_setting(self, name: str) -> str:
        known = self._settings()
        if self.experiment and name in _all_options():
            return f"no cell of this config has the option {name}"
        if kind_of(name) or name in self.curves:
            return f"{name} is a figure: it is written next to `where`, not in it"
        return f"unknown setting{_near(name, known)}"

    def _runs(
        self, where: Mapping[str, tuple[Setting, ...]] | None, given: Tree, path: Path
    ) -> Sequence[Run]:
        """The runs that are meant; `given`: `where` as it was written, at `path`."""
        if where is None:
            return ()
        runs = self.experiment.runs if self.experiment else ()
        settings = [{**run.cell.options, **run.axes} for run in runs]
        before = len(self.faults.found)
        for name, values in where.items():
            there = settings or [{name: value} for value in self.known.get(name, ())]
            listed = isinstance(given, dict) and isinstance(given[name], list)
            for i in strays(values, name, there)[:MOST] if there else ():
                at = (*path, name, i) if listed else (*path, name)
                self.faults.add(at, _no_run(values[i], name, there))
        if self.experiment is None:
            return ()
        meant = [run for run in runs if _meets(where, run)]
        if not meant and before == len(self.faults.found):
            self.faults.add(path, "matches no run: none has all of this at once")
        return meant

    # Which figure

    def _figure(self, name: str, bound: Tree, path: Path, runs: Sequence[Run]) -> Wanted | None:
        figure, place = (name, None) if name in self.curves else without_place(name)
        kind = kind_of(figure, self.asked)
        if kind is None and figure not in self.curves:
            self.faults.add(path, self._unknown(figure), key=True)
            return None
        for run in runs:
            at = None if place is None else (place[0], int(place[1] == "reverse"))
            if at is not None and at not in run.places:
                message = f"the net has no such place: {_places(run)}"
                self.faults.add(path, message, key=True)
                return None
        why = next((why for run in runs if (why := lacks(run, figure, place))), None)
        if why is not None:
            self.faults.add(path, why, key=True)
        fields = self._bounds(figure, kind, bound, path)
        if fields is None or why is not None or not self._is_reached(fields, figure, runs, path):
            return None
        return Wanted(figure, place, **fields)

    def _is_reached(
        self, fields: Mapping[str, Any], figure: str, runs: Sequence[Run], path: Path
    ) -> bool:
        """Whether every run has the lag that is asked for, if one is."""
        lag = fields.get("lag")
        if lag is None:
            return True
        last = min((last_lag(run, figure) for run in runs), default=None)
        if last is None and "sequence_length" in self.known:
            last = int(max(self.known["sequence_length"]))
        if last is None or lag <= last:
            return True
        message = f"expected at most {last}, the last lag of {figure}, found {lag}"
        self.faults.add((*path, "lag"), message)
        return False

    def _unknown(self, name: str) -> str:
        if name in self._settings() or name in _all_options():
            return f"{name} is a setting: it belongs under `where`"
        measure = measure_of(name)
        if measure is not None:
            return f"{name} is not measured: add `measure: [{measure}]`"
        known = (*kinds(), *self.curves, *curves(), "where", "allow_undecided")
        near = nearest(name, known)
        if near is None:
            return "unknown figure"
        measure = measure_of(near)
        more = f" (add `measure: [{measure}]`)" if measure and measure not in self.asked else ""
        return f"unknown figure; did you mean {near}?{more}"

    def _bounds(
        self, name: str, kind: Kind | None, bound: Tree, path: Path
    ) -> dict[str, Any] | None:
        """The bounds, as Wanted has them; None where something is wrong with them. `kind` None: a
        column against lag."""
        before = len(self.faults.found)
        given = bound if isinstance(bound, dict) else {"is": bound}
        for key in given:
            if key not in (*BOUNDS, "lag") or (key == "lag" and kind is not None):
                self.faults.add((*path, key), self._unknown_bound(key), key=True)
        if not any(key in given for key in BOUNDS) and before == len(self.faults.found):
            self.faults.add(path, f"expected {_FIGURE}, found {shown(bound)}")
        if "is" in given and ("min" in given or "max" in given):
            self.faults.add((*path, "is"), "is given next to min or max: give one or the other")
        at = {key: (*path, key) if isinstance(bound, dict) else path for key in given}
        fields: dict[str, Any] = {}
        if kind is None:
            fields["lag"] = self._lag(given.get("lag"), at.get("lag", path))
        if kind in ("text", "word"):
            fields["one_of"] = self._words(name, given, at)
        else:
            fields |= self._numbers(given, at, path)
        return fields if before == len(self.faults.found) else None

    def _numbers(
        self, given: Mapping[str, Tree], at: Mapping[str, Path], path: Path
    ) -> dict[str, Any]:
        least, most, only = (self._number(given, key, at.get(key, path)) for key in BOUNDS)
        if least is not None and most is not None and least > most:
            self.faults.add(at["min"], f"{least:g} is above max, {most:g}: are they swapped?")
        return {"least": least, "most": most, "one_of": () if only is None else (only,)}

    def _unknown_bound(self, key: str) -> str:
        if key == "lag":
            return "this figure is one of the whole run: leave lag out"
        return f"unknown bound{_near(key, (*BOUNDS, 'lag'))}"

    def _lag(self, lag: Tree, path: Path) -> int | None:
        if lag is None:
            self.faults.add(path, "is a column against lag: add the lag, such as {lag: 50}")
        elif isinstance(lag, bool) or not isinstance(lag, int) or lag < 0:
            self.faults.add(path, f"expected a whole number from 0, found {shown(lag)}")
        else:
            return lag
        return None

    def _words(
        self, name: str, given: Mapping[str, Tree], at: Mapping[str, Path]
    ) -> tuple[str, ...]:
        """The words that a figure may be; of a measure's own figure any."""
        known = WORDS.get(name, ())
        expected = " or ".join(known) or "a word"
        for key in ("min", "max"):
            if key in given:
                self.faults.add(at[key], f"{name} is a word: write {{is: {expected}}}")
        if "is" not in given:
            return ()
        value, path = given["is"], at["is"]
        words = value if isinstance(value, list) else [value]
        if not words:
            self.faults.add(path, f"expected {expected}, found an empty list")
        for i, word in enumerate(words):
            if not isinstance(word, str) or (known and word not in known):
                near = _near(word, known) if isinstance(word, str) else ""
                message = f"expected {expected}, found {shown(word)}{near}"
                self.faults.add((*path, i) if isinstance(value, list) else path, message)
        return tuple(cast("list[str]", words))

    def _number(self, given: Mapping[str, Tree], key: str, path: Path) -> float | None:
        if key not in given:
            return None
        value = given[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            remedy = _INFINITE.get(value.lower().lstrip("+"), "") if isinstance(value, str) else ""
            self.faults.add(path, f"expected a number, found {shown(value)}{remedy}")
            return None
        return float(value)


def _is_setting(value: Tree) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, str | int | bool)


def _meets(where: Mapping[str, tuple[Setting, ...]], run: Run) -> bool:
    settings = {**run.cell.options, **run.axes}
    return all(allows(values, name, settings) for name, values in where.items())


def _no_run(value: Setting, name: str, settings: Sequence[Mapping[str, object]]) -> str:
    """What is said of a value that no run has."""
    found = dict.fromkeys(one[name] for one in settings if one.get(name) is not None)
    there = [setting_text(cast(Setting, one)) for one in found]
    listed = ", ".join(there[:_MOST_SHOWN]) + (", …" if len(there) > _MOST_SHOWN else "")
    near = _near(value, there) if isinstance(value, str) else ""
    return f"matches no run: {name} is {listed} here{near if '?' in near else ''}"


def _places(run: Run) -> str:
    names = [f"_l{layer}" + ("_reverse" if direction else "") for layer, direction in run.places]
    return ", ".join(names[:_MOST_SHOWN]) if len(names) > 1 else "it has one layer"


def _near(name: str, known: Iterable[str]) -> str:
    """`; did you mean horizon?`, or what is known where that is short."""
    known = list(known)
    near = nearest(name, known)
    if near:
        return f"; did you mean {near}?"
    return f"; known are {', '.join(known)}" if len(known) <= _MOST_SHOWN else ""


def _all_options() -> dict[str, None]:
    return dict.fromkeys(option for name in CELLS for option in CELLS[name].equations.defaults)
