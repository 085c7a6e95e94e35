"""The mutants: each is one fault in one place, and the explained ones are still there."""

from __future__ import annotations

import ast

import pytest
import yaml

from benchmarks.mutants import EXPLAINED, ROOMS, ROOT, Reached, drawn, explanations, report, stale
from benchmarks.mutations import mutations

SOURCES = {
    "a < b": ["(a <= b)"],
    "a in b": ["(a not in b)"],
    "a + b": ["(a - b)"],
    "2**a": ["(2 * a)", "(3)"],
    "a and b": ["(a or b)"],
    "not a": ["(a)"],
    "-a": ["(a)"],
    "f(True, 0.0, 1.5)": ["pass", "(False)", "(1.0)", "(3.0)"],
    "a if b else c": ["(c if b else a)"],
    "a += b": ["a -= b"],
    "while a:\n    break": ["continue"],
    "def f(a: int = 1) -> str | None:\n    'a text'\n    return a": ["return None", "(2)"],
    "def f(a):\n    return None": [],
    "X: int | None = cast('int', a)": [],
    "zip(a, b, strict=True)": ["pass"],
    "assert a < 3, f'{a + 1}'": [],
    "if TYPE_CHECKING:\n    X = A | None": [],
}


@pytest.mark.parametrize("text", SOURCES)
def test_each_operator_has_its_fault(text):
    found = mutations("x.py", text.encode())
    assert sorted(one.after for one in found) == sorted(SOURCES[text])


def test_no_other_character_changes():
    """Texts with letters of several bytes, over several lines."""
    source = '# ∂L/∂s\nx = {"é": (1 -\n      b)}  # ends\n'.encode()
    (one,) = (m for m in mutations("x.py", source) if "b" in m.before)
    assert one.applied(source).decode() == '# ∂L/∂s\nx = {"é": ((1 + b))}  # ends\n'
    assert (one.line, one.last, one.context) == (2, 3, 'x = {"é": (1 -')


def test_every_mutant_is_python_and_not_what_was_there():
    for _, mutation in drawn(1, 300, "diagnosis"):
        source = (ROOT / mutation.file).read_bytes()
        assert ast.dump(ast.parse(mutation.applied(source))) != ast.dump(ast.parse(source))


def test_what_is_drawn_is_as_much_of_each_room_and_the_same_each_time():
    chosen = list(drawn(1, 300, "diagnosis"))
    assert chosen == list(drawn(1, 300, "diagnosis"))
    assert len(set(chosen)) == 300 / len(ROOMS)
    assert set(drawn(1, 50, "diagnosis")) < set(chosen)
    assert set(drawn(2, 300, "diagnosis")) != set(chosen)


def test_a_line_more_above_draws_the_same():
    source = (ROOT / "gradflow/checks/judge.py").read_bytes()
    before, after = mutations("x.py", source), mutations("x.py", b"\n" + source)
    assert [one.rank(1) for one in before] == [one.rank(1) for one in after]
    assert {b.line - a.line for a, b in zip(before, after, strict=True)} == {1}


def test_tests_that_run_the_line_come_first_and_each_function_in_turn():
    (mutation, *_) = mutations("x.py", b"a + b")
    seconds = {"t::f[1]": 0.1, "t::f[2]": 0.2, "t::g": 5.0, "t::other": 0.01, "t::slow": 8.0}
    reached = Reached(seconds, {"x.py": {1: ["t::f[2]", "t::f[1]", "t::g"]}})
    assert reached.tests_of(mutation) == ["t::f[1]", "t::g", "t::f[2]", "t::other"]


def test_the_report_counts_and_explains():
    chosen = list(drawn(1, 15, "diagnosis"))
    from benchmarks.mutants import name_of

    outcomes = ["killed", "survived", "too long"]
    found = {name_of(m): what for (_, m), what in zip(chosen, outcomes, strict=True)}
    *_, row, total = report(chosen, found)
    known = chosen[1][1].key in explanations()
    assert row == f"| diagnosis | 3 | 2 | {int(known)} | {int(not known)} |"
    assert total == row.replace("diagnosis", "all")


def test_explanations_are_of_mutants_that_are_there_or_are_said_to_be_stale():
    entries = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))
    assert len(explanations()) == len(entries)
    assert all(len(one["reason"]) > 20 for one in entries)
    _, mutation = next(drawn(1, 5, "diagnosis"))
    gone, nowhere = (mutation.file, "a line", "1", "(2)"), ("gradflow/no.py", "x", "1", "(2)")
    assert list(stale([mutation.key, gone, nowhere])) == [gone, nowhere]


def test_the_page_shows_the_table():
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    (total,) = (line for line in page.splitlines() if line.startswith("| all |"))
    mutants, killed, explained, left = map(int, total.strip("| ").split(" | ")[1:])
    assert mutants == killed + explained + left >= 300
    assert left <= 0.05 * mutants
