"""What `gradflow critical` shows."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gradflow.config.load import from_mapping
from gradflow.criticality import find
from gradflow.formats import FORMATS, Look
from gradflow.runs.runner import execute

LINEAR = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
          "hidden_size": 4, "batch_size": 2, "lags": [0]}  # fmt: skip


def shown(config, **options):
    content = find(from_mapping({**LINEAR, **config}), execute, **options)
    return "".join(FORMATS["table"].show("critical", content, Look()))


def test_seeds_are_put_together_and_no_other_setting_is():
    text = shown({"wx_scale": [0.5, 1.0], "seed": [0, 1, 2]})
    assert "W_x×0.5: 1 in the median of 3 seeds, 1 to 1." in text
    assert "W_x×1.0: 1 in the median of 3 seeds, 1 to 1." in text
    assert "median" not in shown({"wx_scale": [0.5, 1.0]})


def test_seeds_alone_go_by_the_cell():
    assert "rnn[activation=linear]: 1 in the median of 2 seeds" in shown({"seed": [0, 1]})


def test_a_net_without_a_crossing_is_named():
    text = shown({"wx_scale": [0.5, 1.0]}, between=(0.1, 0.9))
    assert "W_x×1.0: no crossing: the rate is below 1 from ws_scale 0.1 to 0.9." in text


def test_a_rate_has_the_digits_that_tell_it_from_1():
    text = shown({}, between=(0.1, 0.999996))
    assert text.split("\n")[4].endswith(" 0.999996")
    assert "no crossing: the rate is below 1" in text


def test_what_only_some_nets_have_tells_none_apart():
    """A cell that declares its own initial values has no `ws_init`."""
    text = shown({"cell": ["rnn", "brc"], "ws_init": "gaussian"})
    assert "gaussian" not in text
    assert {"rnn", "brc"} <= set(text.split())


def test_csv_and_json_have_what_was_found_and_tried():
    options = {"ws_scale": 1.0, "wx_scale": [0.5, 1.0], "seed": [0, 1]}
    content = list(find(from_mapping({**LINEAR, **options}), execute))
    made = {
        name: "".join(FORMATS[name].show("critical", content, Look())) for name in ("csv", "json")
    }
    rows = list(csv.DictReader(io.StringIO(made["csv"])))
    nets = json.loads(made["json"])["nets"]
    assert [row["wx_scale"] for row in rows] == ["0.5", "0.5", "1.0", "1.0"]
    assert [row["activation"] for row in rows] == ["linear"] * 4
    for row, net in zip(rows, nets, strict=True):
        assert float(row["critical"]) == net["critical"] == pytest.approx(1, rel=1e-3)
        assert (row["seed"], row["vary"], row["note"]) == (str(net["seed"]), "ws_scale", "")
        assert "ws_scale" not in row
        assert all(one["rate"] == pytest.approx(one["value"], rel=1e-6) for one in net["tried"])


def test_an_option_that_is_varied_is_no_setting():
    config = {"cell": {"type": "rnn", "leak": [0.5]}, "hidden_size": 3, "sequence_length": 40}
    content = list(find(from_mapping(config), execute, vary="cell.leak", between=(0.2, 0.9)))
    (row,) = csv.DictReader(io.StringIO("".join(FORMATS["csv"].show("critical", content, Look()))))
    assert (row["cell"], row["vary"]) == ("rnn", "cell.leak")
    assert "leak" not in row
