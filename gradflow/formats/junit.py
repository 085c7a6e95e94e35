"""JUnit's XML of a check, as CI systems read it: one test case an expectation and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gradflow.checks.checked import Checked, difference
from gradflow.checks.judge import Judgement
from gradflow.formats.look import Look
from gradflow.formats.words import clean


def export(checked: Checked, look: Look) -> Iterator[str]:
    """One suite: a case for every expectation of every run, one for every run compared with the
    baseline."""
    name = clean(checked.source)
    stem = PurePath(name).stem
    cases = [_expected(one, stem) for one in checked.judgements]
    if checked.comparison is not None:
        tolerance = f"within {checked.comparison.within} of {checked.baseline}"
        for pair in checked.comparison.pairs:
            case = _case(f"{stem}.baseline", f"{tolerance} [{pair.name}]")
            if not pair.held:
                _add(case, "failure", difference(pair), difference(pair), type="deviation")
            cases.append(case)
    _tell_apart(cases)
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
    }
    skipped = str(sum(case.find("skipped") is not None for case in cases))
    suites = Element("testsuites", {"name": "gradflow check", **counts})
    suite = SubElement(suites, "testsuite", {"name": name, **counts, "skipped": skipped})
    suite.extend(cases)
    ElementTree.indent(suites)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    # ASCII, other characters by number: right in whatever encoding standard output has
    yield ElementTree.tostring(suites, encoding="us-ascii").decode() + "\n"


def _expected(one: Judgement, stem: str) -> Element:
    wanted = one.wanted
    case = _case(f"{stem}.{wanted.name}", f"{wanted.what} {wanted.bounds} [{one.name}]")
    message = f"got {one.got}" + (f", {one.off}" if one.off else "")
    if one.fails:
        source = wanted.source if wanted.line is None else f"{wanted.source}:{wanted.line}"
        text = f"{source}: wanted {wanted.what} {wanted.bounds}, {message}"
        _add(case, "failure", message, text, type=one.outcome)
    elif one.outcome == "undecided":
        _add(case, "skipped", f"undecided: {message}")
    return case


def _case(classname: str, name: str) -> Element:
    return Element("testcase", {"classname": clean(classname), "name": clean(name)})


def _tell_apart(cases: Iterable[Element]) -> None:
    """Number those of one name, which is all that CI systems know a case by."""
    seen: Counter[tuple[str | None, str | None]] = Counter()
    for case in cases:
        key = case.get("classname"), case.get("name")
        seen[key] += 1
        if seen[key] > 1:
            case.set("name", f"{key[1]} ({seen[key]})")


def _add(case: Element, tag: str, message: str, text: str = "", **more: str) -> None:
    element = SubElement(case, tag, {**more, "message": clean(message)})
    element.text = clean(text) or None
