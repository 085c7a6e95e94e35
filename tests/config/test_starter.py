from __future__ import annotations

import json
import re

import jsonschema
import pytest

from gradflow.cells import CELLS
from gradflow.config.documented import table
from gradflow.config.load import SWEPT, from_mapping, load
from gradflow.config.model import Config
from gradflow.config.starter import SCHEMA_NAME, schema_text, starter_text
from gradflow.config.tree import parse
from gradflow.errors import InputError

VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


def uncommented():
    """The starter config with every line of a key switched on."""
    first, rest = starter_text().split("\n", 1)
    return first + "\n" + re.sub(r"^# ", "", rest, flags=re.MULTILINE)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("text", [starter_text(), uncommented()], ids=["starter", "all keys"])
def test_the_starter_is_a_config(text, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(text, encoding="utf-8")
    assert len(load(config).runs) == 9
    VALIDATOR.validate(parse(text.encode(), "c").data)


def test_the_starter_names_its_schema_and_every_key():
    assert starter_text().startswith(f"# yaml-language-server: $schema={SCHEMA_NAME}\n")
    assert list(parse(uncommented().encode(), "c").data) == list(Config.model_fields)


def test_the_keys_that_are_commented_out_show_the_default(tmp_path):
    (tmp_path / "all.yaml").write_text(uncommented(), encoding="utf-8")
    (tmp_path / "starter.yaml").write_text(starter_text(), encoding="utf-8")
    assert load(tmp_path / "all.yaml").config == load(tmp_path / "starter.yaml").config


@pytest.mark.parametrize(
    "wrong",
    [
        {"hiden_size": 8},
        {"cell": "lstn"},
        {"cell": ["rnn", {"type": "lstm", "forget_bais": 1}]},
        {"cell": {"type": "rnn", "forget_bias": 1}},
        {"sequence_length": 0},
        {"seed": -1},
        {"ws_scale": "1e-3x"},
        {"ws_scale": []},
        {"ws_init": ["gaussian", "ortho"]},
        {"input": "series.csv"},
        {"input": {"kind": "zeros", "scale": 1}},
        {"input": {"file": "a.csv", "colums": [0]}},
        {"loss": {"kind": "mes"}},
        {"lags": [1, "x"]},
        {"lags": []},
        {"thresholds": {"vanishing": 2}},
    ],
    ids=str,
)
def test_the_schema_rejects_what_the_loader_rejects(wrong):
    data = {"cell": "rnn", **wrong}
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(InputError):
        from_mapping(data)


def test_the_reference_has_every_key_once_and_marks_the_axes():
    rows = [row.split(" | ") for row in table().splitlines()[2:]]
    assert [row[0].split("`")[1] for row in rows] == list(Config.model_fields)
    assert {row[0].split("`")[1] for row in rows if row[0].endswith("+")} == set(SWEPT)
    assert all(len(row) == 3 and len(row[2]) > 3 for row in rows)
    defaults = {row[0].split("`")[1]: row[1] for row in rows}
    assert defaults["hidden_size"] == "`64`"
    assert defaults["cell"] == "–"


def test_the_schema_says_nothing_twice():
    """It is a file next to the user's config: what stands in several places is written once."""
    text = schema_text()
    assert len(text) < 300_000
    for name in CELLS:
        assert text.count(f'"{name}_trained": {{') == 1
