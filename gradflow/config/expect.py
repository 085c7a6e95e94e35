"""`expect:` what `gradflow check` holds results to, checked against the figures that there are and
the runs of the config. `gradflow analyze` does not look at it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, cast

from gradflow.checks.figures import curves
from gradflow.checks.wanted import Setting, Wanted, written
from gradflow.config import tree
from gradflow.config.expectation import Reader
from gradflow.config.faults import MOST, Faults
from gradflow.config.load import experiment_of, plain_data, read_config
from gradflow.config.measures import asked_for
from gradflow.config.model import NUMBERS, SWEPT, Config
from gradflow.config.overrides import override
from gradflow.config.tree import Document, Path, Tree
from gradflow.errors import Fault, InputError, nearest
from gradflow.measures import OPTIONAL
from gradflow.results import Result
from gradflow.runs.experiment import Experiment


def load_expected(
    config: str | PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    **given: Any,
) -> tuple[Experiment, list[Wanted]]:
    """The experiment of a config, and what is expected of its runs.

    Args:
        config: the path of a YAML file, `-` for standard input, or its keys and values.
        overrides: `KEY=VALUE` texts, as for `load`.
        given: weights and input in the place of the config's, as for `experiment_of`.

    Raises:
        InputError: with every fault of the config and of its expectations.
    """
    document, folder, text = opened(config)
    scratch = Faults(document)
    data = override(document.data, overrides, scratch)
    faults = Faults(document, scratch.given, list(document.faults))
    experiment, others = None, []
    try:
        experiment = experiment_of(document, folder, overrides, text=text, **given)
    except InputError as error:
        others = list(error.faults)
    found = expectations(data, document, experiment, faults, _sound(data, others))
    faults.found[: len(document.faults)] = others  # those of the document among them
    faults.stop_if_any()
    if experiment is None:
        raise AssertionError("a config was refused for no fault")
    return experiment, found


def opened(config: str | PathLike[str] | Mapping[str, Any]) -> tuple[Document, FilePath, str]:
    """A config's document, the folder that the files it names are in, and its text.

    Args:
        config: the path of a YAML file, `-` for standard input, or its keys and values.
    """
    if isinstance(config, Mapping):
        return Document("config", cast(Tree, plain_data(config)), {}, {}), FilePath(), ""
    source = str(config)
    raw = read_config(source)
    folder = FilePath() if source == "-" else FilePath(source).parent
    return tree.read(raw, source), folder, raw.decode("utf-8", "replace")


def expected(
    item: Mapping[str, Any], experiment: Experiment | None, results: Sequence[Result]
) -> list[Wanted]:
    """What one mapping, as in the list of a config, expects of results.

    Raises:
        InputError: with every fault.
    """
    faults = Faults(Document("expected", None, {}, {}))
    asked = dict.fromkeys(name for result in results for name in result.measures)
    parts = dict.fromkeys(p for r in results if r.flow is not None for p in r.flow.parts)
    reader = Reader(faults, experiment, list(asked), list(parts))
    found = reader.item(cast(Tree, plain_data(item)), (), 0)
    faults.stop_if_any()
    return found


def _sound(data: Tree, others: Sequence[Fault]) -> dict[str, Tree]:
    """What of a config can be read where others of its keys are at fault: the keys that no fault is
    about, nor a misspelt one stands for."""
    broken = {re.split(r"[.\[]", fault.key or "", maxsplit=1)[0] for fault in others}
    if not isinstance(data, dict) or "" in broken or "weights" in data:
        return {}
    meant = {nearest(key, Config.model_fields) for key in data if key not in Config.model_fields}
    return {key: value for key, value in data.items() if key not in broken | meant}


def _values(sound: Mapping[str, Tree]) -> dict[str, list[Setting]]:
    """The values of the settings that are given as such, or as a list of them."""
    found: dict[str, list[Setting]] = {}
    for key in SWEPT:
        given = sound.get(key)
        values = given if isinstance(given, list) else [given]
        if key == "cell":
            values = [one.get("type") if isinstance(one, dict) else one for one in values]
        kinds = (int, float) if key in NUMBERS else (str, int, float)
        if values and all(isinstance(one, kinds) for one in values):
            found[key] = cast("list[Setting]", values)
    return found


def expectations(
    data: Tree,
    document: Document,
    experiment: Experiment | None,
    faults: Faults,
    sound: Mapping[str, Tree] | None = None,
) -> list[Wanted]:
    """What is expected of the runs, every fault among the `faults`.

    Args:
        data: the whole config, as the user wrote it, with what was put over it.
        document: where everything is.
        experiment: what the config describes; None where that is itself at fault.
        sound: what of the config is not.
    """
    given = data.get("expect") if isinstance(data, dict) else None
    if given is None or given == []:
        return []
    items = given if isinstance(given, list) else [given]
    sound = sound or {}
    asked = _asked(sound, experiment)
    reader = Reader(faults, experiment, asked, _parts(experiment), _values(sound))
    found: list[Wanted] = []
    for number, item in enumerate(items):
        path: Path = ("expect", number) if isinstance(given, list) else ("expect",)
        if len(faults.found) >= MOST:  # the nearest name of each takes time
            faults.add(path, f"too much is wrong before this: {len(items) - number} are not read")
            break
        found += reader.item(item, path, number)
    return found


def from_options(texts: Sequence[str], experiment: Experiment | None) -> list[Wanted]:
    """What `--expect 'horizon>=100'` says, of each text; `experiment` is None where the config is
    itself at fault.

    Raises:
        InputError: with every fault.
    """
    found: list[Wanted] = []
    wrong: list[Fault] = []
    for number, text in enumerate(texts):
        source = f"--expect {text}"
        split = written(text)
        turned = next((sign for sign in ("=>", "=<") if sign in text), None)
        if split is None or turned:
            near = f"; did you mean {turned[::-1]}?" if turned else ""
            wrong.append(Fault(f"expected NAME>=NUMBER, NAME<=NUMBER or NAME=VALUE{near}", source))
            continue
        name, bound, value = split
        faults = Faults(Document(source, None, {}, {}))
        if name in curves(_parts(experiment)):
            wrong.append(Fault(f"{name} is a column against lag, not a figure of a run", source))
            continue
        reader = Reader(faults, experiment, _asked({}, experiment), _parts(experiment))
        try:
            found += reader.item({name: {bound: tree.parse_value(value, source)}}, (), number)
        except InputError as error:
            wrong += error.faults
        wrong += faults.found
    if wrong:
        raise InputError(*wrong)
    return found


def _asked(sound: Mapping[str, Tree], experiment: Experiment | None) -> list[str]:
    """The measures that are asked for; all, if that is not known."""
    if experiment is not None:
        return [one.name for one in experiment.measures]
    if "measure" in sound:
        return [one.name for one in asked_for(sound, Faults(Document("", None, {}, {})))]
    return list(OPTIONAL)


def _parts(experiment: Experiment | None) -> Sequence[str]:
    return experiment.parts if experiment is not None else ()
