"""What the loader accepts the JSON Schema accepts, and the other way round.

Beside these, every config that any test loads is held against the schema (see conftest.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gradflow.config.load import from_mapping, load
from gradflow.config.tree import parse
from gradflow.errors import InputError
from schema_agreement import VALIDATOR

ROOT = Path(__file__).parent.parent.parent
FILES = [*ROOT.glob("configs/*.yaml"), *ROOT.glob("tests/golden/*.yaml")]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
SHOWN = [
    s for p in PAGES for s in re.findall(r"```yaml\n(.*?)```", p.read_text("utf-8"), re.DOTALL)
]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder with trained nets: `lstm.npz`, `gru.npz`, and `lstmp.npz`, which projects."""
    monkeypatch.chdir(tmp_path)
    for name, gates, P in (("lstm", 4, 4), ("gru", 3, 4), ("lstmp", 4, 2)):
        shapes = {"weight_ih_l0": (4 * gates, 3), "weight_hh_l0": (4 * gates, P)}
        shapes |= {"bias_ih_l0": (4 * gates,), "bias_hh_l0": (4 * gates,)}
        shapes |= {"weight_hr_l0": (2, 4)} if P < 4 else {}
        np.savez(f"{name}.npz", **{key: np.full(shape, 0.1) for key, shape in shapes.items()})
    return tmp_path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_in_a_file(path):
    load(path)
    VALIDATOR.validate(parse(path.read_bytes(), "c").data)


@pytest.mark.parametrize("text", SHOWN)
def test_every_config_that_a_page_shows(text):
    data = parse(text.encode(), "page").data
    if isinstance(data, dict) and data.keys() & {"cell", "weights"}:  # others are parts, or recipes
        VALIDATOR.validate(data)


ACCEPTED = [
    {"weights": "lstm.npz"},
    {"weights": "lstm.npz", "cell": None},
    {"weights": "lstm.npz", "cell": "lstm"},
    {"weights": "lstm.npz", "cell": ["lstm"]},
    {"weights": "lstm.npz", "cell": {"forget_bias": 1}},
    {"weights": "lstm.npz", "cell": [{"type": "lstm", "forget_bias": 1.0}]},
    {"weights": {"file": "lstm.npz", "layer": 0}, "hidden_size": [4], "ws_scale": [1, 2]},
    {"weights": "gru.npz", "cell": {"update_bias": 1}},
    {"weights": "gru.npz", "cell": {"type": "gru", "reset": "after"}},
    {"weights": "lstmp.npz"},
    {"weights": "lstmp.npz", "cell": "lstm"},
    {"weights": "lstmp.npz", "cell": {"type": "lstm", "proj_size": 2}},
    {"weights": "lstmp.npz", "cell": {"type": "lstmp", "proj_size": 2}},
    {"weights": "lstm.npz", "loss": "cross_entropy", "output_size": 3},
    {"cell": "rnn", "weights": None, "title": None},
    {"cell": "rnn", "loss": {"kind": "cross_entropy"}, "output_size": 2},
    {"cell": "rnn", "loss": {"kind": "probe", "target": None}},
    {"cell": "rnn", "loss": {"kind": "mse", "target": 2}, "tape_memory": "2 MiB"},
    {"cell": "rnn", "loss": {"kind": "mse", "at": "all", "reduce": "sum", "truncate": 5}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": [3, 1, 100.0]}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": {"every": 10}}},
    {"cell": "rnn", "sequence_length": 1e1, "hidden_size": [2.0, 3]},
]
REFUSED = [
    {},
    {"cell": None},
    {"weights": None},
    {"weights": ""},
    {"weights": 3},
    {"weights": {"prefix": "a"}},
    {"weights": {"file": "lstm.npz", "layre": 0}},
    {"weights": "lstm.npz", "ws_init": "orthogonal"},
    {"weights": "lstm.npz", "bias_scale": 0.1},
    {"weights": "lstm.npz", "cell": ["lstm", "gru"]},
    {"weights": "lstm.npz", "cell": []},
    {"weights": "lstm.npz", "cell": {"forget_bais": 1}},
    {"weights": "lstm.npz", "cell": {"type": "lstm", "reset": "after"}},
    {"weights": "lstm.npz", "cell": "lstn"},
    {"cell": {"forget_bias": 1}},
    {"cell": {"type": "lstm", "proj_size": 2}},
    {"cell": ["rnn", None]},
    {"cell": "rnn", "loss": "cross_entropy"},
    {"cell": "rnn", "loss": {"kind": "cross_entropy"}, "output_size": 1},
    {"cell": "rnn", "loss": {"kind": "probe", "target": 1}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": []}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": 5}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": [0]}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": [2, 2]}},
    {"cell": "rnn", "loss": {"kind": "mse", "at": {"every": 0}}},
    {"cell": "rnn", "loss": {"kind": "mse", "reduce": "max"}},
    {"cell": "rnn", "loss": {"kind": "mse", "truncate": 0}},
    {"cell": "rnn", "hidden_size": 2.5},
    {"cell": "rnn", "bidirectional": 1},
    {"cell": "rnn", "tape_memory": "2 GB"},
]


@pytest.mark.parametrize("config", ACCEPTED, ids=str)
def test_what_both_accept(config, trained):
    from_mapping(config)
    VALIDATOR.validate(config)


@pytest.mark.parametrize("config", REFUSED, ids=str)
def test_what_both_refuse(config, trained):
    with pytest.raises(InputError):
        from_mapping(config)
    assert not VALIDATOR.is_valid(config)
