"""A small config in a folder of its own, where the command runs."""

from __future__ import annotations

import pytest

SMALL = "cell: [rnn, lstm]\nsequence_length: 8\nhidden_size: 4\nbatch_size: 3\ninput_size: 2\n"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path / "c.yaml"
