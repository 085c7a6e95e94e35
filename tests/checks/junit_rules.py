"""What Jenkins, GitLab and others ask of JUnit's XML, as the schema of Jenkins's xUnit plugin has
it: which element may be in which, and the attributes each has to have or may have.

`time` is seconds with at most three decimals; all else is text.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testsuite", "properties", "testcase", "system-out", "system-err"},
    "testcase": {"skipped", "errors", "failure", "system-out", "system-err"},
    "failure": set(),
    "skipped": set(),
    "properties": {"property"},
    "property": set(),
}
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "property": {"name", "value"},
}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname",
                  "id", "package", "file", "log", "url", "version", "group"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
    "property": {"name", "value"},
}  # fmt: skip
MIXED = {"failure", "skipped"}
"""What may hold text."""

_TIME = re.compile(r"[0-9]{0,3}(,?[0-9]{3})*(\.[0-9]{0,3})?")


def check(text):
    """The root of a JUnit file that keeps to the rules; AssertionError where it does not."""
    root = ElementTree.fromstring(text)
    assert root.tag in ("testsuites", "testsuite")
    for element in root.iter():
        assert element.tag in CHILDREN, element.tag
        assert {child.tag for child in element} <= CHILDREN[element.tag], element.tag
        names = set(element.attrib)
        assert REQUIRED.get(element.tag, set()) <= names, (element.tag, names)
        assert names <= ALLOWED.get(element.tag, set()), (element.tag, names)
        assert "time" not in names or _TIME.fullmatch(element.attrib["time"])
        assert element.tag in MIXED or not (element.text or "").strip(), element.tag
        assert not (element.tail or "").strip()
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        failed = sum(case.find("failure") is not None for case in cases)
        assert int(suite.get("failures")) == failed
        assert int(suite.get("errors")) == sum(c.find("errors") is not None for c in cases)
    return root
