"""The JSON Schema of the results, from the lists that the JSON itself is made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gradflow.axes import Kind
from gradflow.cells import CELLS
from gradflow.diagnosis.figures import FIGURES
from gradflow.formats.columns import NET, PLACE, RUN, Field
from gradflow.formats.figures import forms
from gradflow.formats.flat import HIGH, LOW
from gradflow.formats.json import FORMAT, curve_names, with_logarithms
from gradflow.measures import MEASURES, OPTIONAL
from gradflow.measures.contract import Curve, Figure, Measure
from gradflow.measures.terms import TOTALS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": ["number", "null"]}
_KINDS: Mapping[Kind, Schema] = {
    "text": _TEXT,
    "word": {"type": ["string", "null"]},
    "whole": _WHOLE,
    "number": _NUMBER,
    "interval": {
        "anyOf": [
            {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
            {"type": "null"},
        ]
    },
    "truth": {"type": "boolean"},
}
_MAGNITUDE: Schema = {
    "description": "a number, as decimal text where it lies outside float range; null: unknown",
    "anyOf": [
        {"type": ["number", "null"], "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]\.[0-9]{16}e[-+][0-9]+$"},
    ],
}


_ENDS = f"({LOW}|{HIGH})$"
"""What the lowest and highest over seeds end in."""


def results_text() -> str:
    """The JSON Schema of what `--format json` gives."""
    return json.dumps(results_schema(), indent=2, ensure_ascii=False) + "\n"


def results_schema() -> Schema:
    """The same as plain data."""
    schema = _results()
    schema["properties"]["over"] = {
        "const": "seed",
        "description": "there where runs that differ in the seed alone are one: figures are medians"
        " then, next to `_seeds_low` and `_seeds_high`, words counts, curves geometric means",
    }
    return schema


def _results() -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Results of gradflow analyze",
        **_object(
            {
                "gradflow": _TEXT,
                "format": {"const": FORMAT},
                "provenance": _provenance(),
                "config": {"type": "object", "description": "every default filled in"},
                "parts": {"type": "array", "items": _TEXT},
                "options": {"type": "array", "items": _TEXT},
                "measures": {"type": "array", "items": _TEXT},
                "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
            }
        ),
        "$defs": {
            "magnitude": _MAGNITUDE,
            "diagnosis": _figures_of({figure.name: _described(figure) for figure in FIGURES}),
            "run": _run(),
            "place": _with_asked(_object({**_facts(PLACE), **_measured()}, more={"type": "array"})),
        },
    }


def _object(properties: Mapping[str, Schema], more: Schema | bool = False) -> Schema:
    """An object that has all of these, and of other keys only what `more` allows."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": more,
    }


def _figures_of(properties: Mapping[str, Schema]) -> Schema:
    """An object that has all of these figures, over seeds with the ends of each."""
    ends = {"anyOf": [_NUMBER, {"$ref": "#/$defs/magnitude"}]}
    return {**_object(properties), "patternProperties": {_ENDS: ends}}


def _described(column: Field | Figure) -> Schema:
    return {**_KINDS[column.kind], "description": column.meaning}


def _facts(columns: Iterable[Field]) -> Schema:
    return {column.name: _described(column) for column in columns}


def _provenance() -> Schema:
    known = {"type": ["string", "null"]}
    return _object(
        {
            "gradflow": _TEXT,
            "python": _TEXT,
            "numpy": _TEXT,
            "config_sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "blas": _object({"name": known, "version": known, "kernel": known}),
        }
    )


def _run() -> Schema:
    """A run; what its cell has of the options of all cells is among its keys."""
    facts = {
        **_facts((*RUN, *NET)),
        **_measured(),
        "loss": {**_NUMBER, "description": "the batch mean"},
        "objective": {**_TEXT, "description": "the loss and the steps at which it is read"},
        "diverged_at": {
            "type": ["integer", "null"],
            "description": "the step (1..T) whose state first left float range",
        },
        "notes": {"type": "array", "items": _TEXT},
        "lags": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "places": {
            "type": "array",
            "items": {"$ref": "#/$defs/place"},
            "description": "each layer and direction of a net that has more than one",
        },
    }
    # The user's own cell may have any options and parts of a state.
    run = _object(facts, more={"type": ["number", "string", "null", "array"]})
    run["properties"] |= _options()
    run["properties"]["seed"] = {
        "type": ["integer", "null"],
        "description": "what the config says; null: over several",
    }
    return _with_asked(run)


def _with_asked(schema: Schema) -> Schema:
    """The schema with what a config can ask for: curves next to the others, and by the name of each
    measure its figures."""
    for name in OPTIONAL:
        measure = MEASURES[name]
        schema["properties"] |= _arrays(with_logarithms(measure.curves))
        schema["properties"][name] = _figures(measure)
    return schema


def _figures(measure: Measure) -> Schema:
    """The figures of a measure, as far as the net has them, and its note."""
    own: Schema = {"note": {"type": ["string", "null"]}}
    patterns: Schema = {_ENDS: {"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER}]}}
    inner: Schema = {}
    for form in forms(measure):
        described = _described(form.figure)
        if form.listed is not None:
            own[form.listed] = {"type": "array", "items": described}
        elif form.inner is not None:
            inner[form.inner] = described
        elif form.figure.pattern.groups:
            patterns[f"^{form.figure.pattern.pattern}$"] = described
        else:
            own[form.figure.name] = described
    each = {
        "type": "object",
        "properties": inner,
        "patternProperties": {_ENDS: _NUMBER},
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "description": measure.meaning,
        "required": ["note"],
        "properties": own,
        "patternProperties": patterns,
        "additionalProperties": each if inner else False,
    }


def _options() -> Schema:
    """The options of every cell of gradflow's own."""
    found: dict[str, list[Schema]] = {}
    for name in CELLS:
        for option, given in CELLS[name].equations.options:
            schema = {"enum": list(given)} if isinstance(given, tuple) else _NUMBER
            schemas = found.setdefault(option, [])
            if schema not in schemas:
                schemas.append(schema)
    return {
        name: schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        for name, schemas in found.items()
    }


def _measured() -> Schema:
    """What a net and each place of it have: totals, diagnosis, arrays against lag."""
    magnitude = {"$ref": "#/$defs/magnitude"}
    return {
        "totals": _figures_of(dict.fromkeys(TOTALS, magnitude)),
        "log10_totals": _figures_of(dict.fromkeys(TOTALS, _NUMBER)),
        "first": {
            "type": ["integer", "null"],
            "description": "the lag of the last step at which the loss is read",
        },
        "start": {
            "description": "what `relative` is over; null: grad_norm at the lag `first`",
            "anyOf": [magnitude, {"type": "null"}],
        },
        "log10_typical": {
            "description": "log10 of the geometric mean over the batch",
            "anyOf": [{"type": "array", "items": _NUMBER}, {"type": "null"}],
        },
        "log10_typical_start": {
            **_NUMBER,
            "description": "what log10_typical is compared with",
        },
        "measured": {
            "type": "object",
            "description": "measures once more, to be read back exactly",
        },
        "diagnosis": {"$ref": "#/$defs/diagnosis"},
        "of_reach": {
            "type": "boolean",
            "description": "whether the diagnosis is of how far the loss of any one step reaches",
        },
        **_arrays(curve_names()),
    }


def _arrays(curves: Mapping[str, Curve]) -> Schema:
    """Arrays against lag, by name."""
    magnitude = {"$ref": "#/$defs/magnitude"}
    return {
        name: {
            "type": "array",
            "items": magnitude if curve.any_size and name == curve.name else _NUMBER,
            "description": curve.meaning if name == curve.name else f"log10 of {curve.name}",
        }
        for name, curve in curves.items()
    }
