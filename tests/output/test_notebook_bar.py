"""The bar below a notebook's cell: by IPython alone, only for long work, and gone at the end."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import gradflow
from gradflow.output import terminal

SMALL = {"cell": "rnn", "sequence_length": 12, "hidden_size": 4, "seed": [0, 1, 2]}


class Screen(ModuleType):
    """What a notebook shows, in place of IPython.display."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown = []

    HTML = staticmethod(str)

    def display(self, text, display_id):
        assert display_id is True
        self.shown.append(text)
        return self

    def update(self, text):
        self.shown.append(text)


@pytest.fixture
def screen(monkeypatch):
    found = Screen()
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", found)
    return found


def _clock(monkeypatch, ticks):
    times = iter(ticks)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(times))


def test_long_work_has_a_bar_that_goes_away(screen, monkeypatch):
    _clock(monkeypatch, [0.0, 0.2, 0.6, 0.65, 0.8])
    with terminal.notebook_bar(200) as progress:
        for _ in range(4):
            progress(50)
    assert screen.shown == [
        "<progress max=200 value=100></progress> 50% of the time steps",
        "<progress max=200 value=200></progress> 100% of the time steps",
        "",
    ]


def test_it_goes_away_where_the_work_fails(screen, monkeypatch):
    _clock(monkeypatch, [0.0, 0.7])

    def interrupted():
        with terminal.notebook_bar(10) as progress:
            progress(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.shown[-1] == ""


def test_short_work_has_none(screen, monkeypatch):
    _clock(monkeypatch, [0.0, 0.1, 0.4])
    with terminal.notebook_bar(10) as progress:
        progress(5)
        progress(5)
    assert not screen.shown


def test_there_is_none_outside_of_a_notebook(screen, monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel")
    with terminal.notebook_bar(10) as progress:
        progress(10)
    assert not screen.shown


@pytest.mark.parametrize("call", ["analyze", "explain", "critical", "check"])
def test_every_call_that_runs_something_has_one(screen, monkeypatch, call):
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    monkeypatch.setattr(terminal, "_REFRESH", 0.0)
    getattr(gradflow, call)({**SMALL, "expect": {"horizon": {"min": 1}}})
    assert len(screen.shown) > 2
    assert screen.shown[-1] == ""
    shares = [int(text.split(">")[2].split("%")[0]) for text in screen.shown[:-1]]
    assert shares == sorted(shares)
    assert shares[-1] <= 100
    assert shares[-1] == 100 or call in ("critical", "explain")  # which know only the most
