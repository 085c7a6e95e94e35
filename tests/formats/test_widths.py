"""Whatever a command prints fits a terminal of 80 columns, and a wide one."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from command import main
from gradflow.cli import app_for
from gradflow.output import terminal

SMALL = "hidden_size: 4\nbatch_size: 3\ninput_size: 2\nsequence_length: 12\n"
CONFIGS = {
    "sweep.yaml": "title: Two cells at two sizes\ncell: [rnn, {type: gru, reset: before}]\n"
    "ws_scale: [0.5, 1.0, 2.0]\nsequence_length: [5, 12]\nhidden_size: 4\n",
    "stack.yaml": f"cell: lstm\nlayers: 2\nbidirectional: true\n{SMALL}",
    "wild.yaml": f"cell: {{type: rnn, activation: linear}}\nws_scale: 1e100\n{SMALL}",
    "asked.yaml": f"cell: lstm\nmeasure: [jacobian, lyapunov, gates, paths, "
    f"slopes, theory, reach]\n{SMALL}",
    "expected.yaml": f"cell: [rnn, lstm]\n{SMALL}expect:\n  - {{horizon: {{min: 100}}, "
    "rate: {min: 0.9, max: 1.02}, verdict: [vanishing, stable]}\n",
    "trained.yaml": "cell: lstm\nsequence_length: 12\n"
    "weights: {file: run-1.npz, prefix: encoder.lstm}\n",
    "steps.yaml": "cell: rnn\nsequence_length: 3\nhidden_size: 1\ninput_size: 1\nbatch_size: 1\n",
}
COMMANDS = [
    "analyze sweep.yaml", "analyze sweep.yaml --tables", "analyze sweep.yaml --rows runs",
    "analyze sweep.yaml --set seed=[0,1,2] --over seed", "analyze stack.yaml", "analyze wild.yaml",
    "analyze asked.yaml", "analyze steps.yaml", "verify steps.yaml", "verify sweep.yaml",
    "verify sweep.yaml --details", "explain steps.yaml --no-advice",
    "explain expected.yaml --no-advice", "explain asked.yaml", "critical expected.yaml",
    "check expected.yaml", "compare one.json two.json", "compare one.json one.json",
    "show one.json", "inspect run-1.npz", "track trained.yaml run-1.npz run-2.npz run-3.npz",
    "cells", "cells lstm",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The configs, trained nets and saved results that the commands name."""
    import gradflow

    folder = tmp_path_factory.mktemp("widths")
    for name, text in CONFIGS.items():
        (folder / name).write_text(text, encoding="utf-8")
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        shapes = {
            "weight_ih_l0": (16, 2),
            "weight_hh_l0": (16, 4),
            "bias_ih_l0": 16,
            "bias_hh_l0": 16,
        }
        net = {f"encoder.lstm.{name}": rng.normal(0, 0.4, size) for name, size in shapes.items()}
        np.savez(folder / f"run-{number}.npz", **net)
    for seed, name in enumerate(("one.json", "two.json")):
        gradflow.analyze({"cell": ["rnn", "lstm"], "seed": seed,
                          "hidden_size": 4, "sequence_length": 12}).save(folder / name)  # fmt: skip
    return folder


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_it_fits(folder, monkeypatch, capsys, command, width):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(terminal, "_PIPE_WIDTH", width)
    code, out, err = main(capsys, *command.split())
    assert code in (0, 1), err
    assert len(out.splitlines()) > 2
    equations = command.startswith("cells")  # which stay as they are written
    long = [line for line in out.splitlines() if cell_len(line) > width]
    written = [one for one in long if one.startswith("  ") and (" = " in one or " output: " in one)]
    assert long == (written if equations else [])


@pytest.mark.parametrize(
    "name", ["", *(c.name or c.callback.__name__ for c in app_for().registered_commands)]
)
def test_help_fits(monkeypatch, capsys, name):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = main(capsys, *filter(None, [name]), "-h")
    assert code == 0
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert "..." not in out.partition("Commands:")[2]
