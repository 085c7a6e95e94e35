"""What the library prints is what the command prints."""

from __future__ import annotations

import io
import json
import sys

import pytest

import gradflow
from command import main

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 12, "input_size": 3}
SWEEP = {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5], **SMALL}


def test_what_is_printed_without_a_terminal_is_what_the_command_prints(tmp_path, capsys):
    swept = {"cell": ["rnn", "lstm", "gru"], "ws_scale": [0.5, 1.0, 1.5], **SMALL}
    config = {**swept, "expect": {"horizon": {"min": 50}}}
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(config))
    printed = {
        "analyze": gradflow.analyze(config),
        "explain --no-advice": gradflow.explain(config, advice=False),
        "critical": gradflow.critical(config),
        "check": gradflow.check(str(path)),
    }
    for command, found in printed.items():
        _, out, _ = main(capsys, *command.split(), path)
        assert f"{found}\n" == out, command


def test_answers_show_what_the_command_prints(tmp_path, capsys):
    small = {"cell": ["rnn", "lstm"], **SMALL}
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(small))
    answers = gradflow.verify(small)
    assert (0, str(answers) + "\n", "") == main(capsys, "verify", path)
    command = main(capsys, "verify", path, "--format", "markdown")
    assert (0, answers._repr_markdown_(), "") == command
    for answers, text in ((gradflow.critical(small), "critical ws_scale"),
                          (gradflow.explain(small, advice=False), "gain of W_s")):  # fmt: skip
        assert isinstance(answers, list)
        assert len(answers) == 2
        assert len(repr(answers)) < 300
        assert text in str(answers)
        assert text in answers._repr_markdown_()
        answers.save(tmp_path / "found.md")
        assert text in (tmp_path / "found.md").read_text(encoding="utf-8")
    with pytest.raises(gradflow.InputError, match=r"expected a name that ends in one of .txt"):
        gradflow.critical(small).save(tmp_path / "found.xlsx")


def test_a_table_is_as_wide_as_the_terminal_of_the_prompt(monkeypatch):
    results = gradflow.analyze({**SWEEP, "hidden_size": [4, 6]})
    answers = gradflow.explain(SWEEP, advice=False)

    def widest(shown):
        return max(map(len, str(shown).splitlines()))

    assert 100 < widest(results) <= 160
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert 80 < widest(results) <= 100
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "72")
    assert widest(results) <= 72
    assert widest(answers) <= 72


class Terminal(io.StringIO):
    def isatty(self):
        return True
