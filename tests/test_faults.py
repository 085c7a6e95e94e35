"""Faults at random moments: a try of each kind, and many under the marker."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

if os.name == "nt":
    pytest.skip("POSIX signals and limits", allow_module_level=True)

from benchmarks.faults import KINDS, Tally, inject, table

PAGE = Path(__file__).parent.parent / "docs/reliability.md"


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_leaves_nothing_torn_lost_hung_or_behind(kind):
    tally = inject(kind, tries=1, seed=os.getpid())
    assert tally.sound, tally


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_many_faults_leave_nothing_torn_lost_hung_or_behind(kind):
    tally = inject(kind, tries=10, seed=os.getpid())
    assert tally.sound, tally


def test_the_page_shows_the_table_of_the_faults_that_are_injected():
    page = PAGE.read_text("utf-8").partition("## Faults put into the code")[0]
    rows = [line for line in page.splitlines() if line.startswith("|")]
    head, rule, *faults = table(dict.fromkeys(KINDS, Tally()))
    assert rows[:2] == [head, rule]
    counts = r" \| [1-9]\d* (\| 0 ){5}\|"  # so many tries, and nothing went wrong
    for row, fault in zip(rows[2:], faults, strict=True):
        assert re.fullmatch(re.escape(fault.removesuffix(" | 0" * 6 + " |")) + counts, row)
