"""What `gradflow critical` shows."""

from __future__ import annotations

from gradflow.config.load import from_mapping
from gradflow.criticality import find
from gradflow.formats import FORMATS, View
from gradflow.runs.runner import execute

LINEAR = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
          "hidden_size": 4, "batch_size": 2, "lags": [0]}  # fmt: skip


def shown(config, **options):
    content = find(from_mapping({**LINEAR, **config}), execute, **options)
    return "".join(FORMATS["table"].show("critical", content, View()))


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
