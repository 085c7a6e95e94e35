"""The examples in docstrings of what is public are what happens."""

from __future__ import annotations

import builtins
import doctest
import inspect
import re

import pytest

import gradflow
import gradflow.testing

PUBLIC = {name: getattr(gradflow, name) for name in gradflow.__all__ if name != "__version__"}
SHOWN = {"gradflow": gradflow, "assert_gradient_flow": gradflow.testing.assert_gradient_flow}
SHOWN |= {name: found for name, found in PUBLIC.items() if getattr(found, "__doc__", None)}
EXAMPLES = {
    test.name: test
    for name, found in SHOWN.items()
    for test in doctest.DocTestFinder(recurse=inspect.isclass(found)).find(found, name, globs={})
    if test.examples
}
CALLS = [name for name, found in PUBLIC.items() if inspect.isfunction(found)]
NEEDS = {"gradflow": ["pandas"], "Results": ["pandas", "polars", "xarray"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_happens(name, tmp_path, monkeypatch):
    for library in NEEDS.get(name, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    said = []
    test = EXAMPLES[name]
    test.globs = {"gradflow": gradflow}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failed, _ = runner.run(test, out=said.append)
    assert not failed, "".join(said)


def test_every_call_has_an_example():
    assert len(CALLS) >= 9
    assert {*CALLS, "gradflow", "Results", "Magnitudes", "assert_gradient_flow"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_says_what_it_takes_gives_and_raises(name):
    call, text = PUBLIC[name], inspect.getdoc(PUBLIC[name])
    signature = inspect.signature(call)
    for parameter in signature.parameters:
        assert parameter in text, parameter
    assert "Raises:" in text


ALIASES = {"Array", "ArrayLike", "Source", "Progress", "Equations", "Plain"}
"""Names of types that say what Python and NumPy already have."""


def test_what_is_taken_and_given_can_be_imported():
    known = {*PUBLIC, *ALIASES, *vars(builtins), "Any", "Mapping", "PathLike"}
    for name in CALLS:
        for note in PUBLIC[name].__annotations__.values():
            assert set(re.findall(r"[A-Za-z_]\w*", str(note))) <= known, name
