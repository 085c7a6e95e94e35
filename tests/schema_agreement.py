"""Whether a config's JSON Schema and its loader say the same, of every config that a test loads."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import jsonschema
from pydantic import ValidationError

from gradflow import tracking
from gradflow.cells import CELLS
from gradflow.config import expect, load
from gradflow.config.cells import cells_of
from gradflow.config.faults import Faults
from gradflow.config.model import Config
from gradflow.config.overrides import override
from gradflow.config.ranges import with_ranges
from gradflow.config.starter import schema_text
from gradflow.config.trained import with_file
from gradflow.config.tree import Document
from gradflow.errors import InputError
from gradflow.measures import OPTIONAL

VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


@cache
def validator(measures):
    """What a schema says if there are these measures."""
    return jsonschema.Draft202012Validator(json.loads(schema_text()))


_LONGEST = 1000  # items of a list; longer ones hold nothing else than shorter ones


def watch(monkeypatch):
    """From now on each config that is loaded is held against the schema too."""
    really = load.experiment_of

    def held_against_the_schema(document, folder, overrides=(), **read):
        try:
            experiment = really(document, folder, overrides, **read)
        except InputError as error:
            data = given(document, overrides, **read)
            judged = in_json(data) and "weights" not in data and not has_own_cells(data)
            judged = judged and not is_between_options(error)
            if judged and not model_accepts(data):
                assert not validator(tuple(OPTIONAL)).is_valid(data), (
                    f"only the schema accepts {data}"
                )
            raise
        data = given(document, overrides, **read)
        if in_json(data) and not CELLS._own:  # no schema knows what is registered
            validator(tuple(OPTIONAL)).validate(data)
        return experiment

    monkeypatch.setattr(load, "experiment_of", held_against_the_schema)
    monkeypatch.setattr(tracking, "experiment_of", held_against_the_schema)
    monkeypatch.setattr(expect, "experiment_of", held_against_the_schema)


def given(document, overrides, checkpoint=None, **read):
    """The data that is judged: with overrides, and with the checkpoint that is tracked."""
    data = override(document.data, overrides, Faults(document))
    if checkpoint is None or not isinstance(data, dict):
        return data
    return with_file(data, checkpoint, Faults(document))


def is_between_options(error):
    """Whether options of a cell contradict each other, or have no effect next to others."""
    words = ("does nothing with", ", which is ")
    return any(word in fault.message for fault in error.faults for word in words)


def has_own_cells(data):
    """Whether there are equations, which a schema cannot judge, or options that are lists or
    ranges."""
    cells = data.get("cell") if isinstance(data.get("cell"), list) else [data.get("cell")]
    kinds = [(cell.get("type") if isinstance(cell, dict) else cell) for cell in cells]
    listed = any(
        isinstance(v, list | dict) for c in cells if isinstance(c, dict) for v in c.values()
    )
    return listed or any(isinstance(kind, str) and kind not in CELLS for kind in kinds)


def in_json(data):
    """Whether it is a mapping, not too long, of what JSON has words for."""
    return isinstance(data, dict) and all(map(_plain, data.values()))


def _plain(value):
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, list):
        return len(value) <= _LONGEST and all(map(_plain, value))
    return not isinstance(value, float) or math.isfinite(value)


def model_accepts(data):
    document = Document("config", data, {}, {})
    faults = Faults(document)
    data = with_ranges(data, faults)
    if faults.found:  # a schema does not compare the ends
        return True
    try:
        Config.model_validate(data)
    except ValidationError:
        return False
    cells_of(data, document, Path(), "", faults)
    return not faults.found
