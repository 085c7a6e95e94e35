"""The examples in docstrings of what is public are what happens."""

from __future__ import annotations

import builtins
import doctest
import inspect
import pydoc
import re

import pytest

import gradflow
import gradflow.testing

PUBLIC = {name: getattr(gradflow, name) for name in dir(gradflow) if name != "__version__"}
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
    test.globs = {}
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


WITHIN = {"Asked", "Base", "Bound", "Equations", "InitialState", "Loss", "Pair", "Row", "Signal"}
WITHIN |= {"Tape", "Trained"}
"""What runs and lists are made of inside."""
WORDS = {"Direction", "Lags", "NoRate", "Number", "Outcome", "Place", "Setting", "Theme", "Verdict"}


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if inspect.isclass(one)])
def test_what_is_in_what_is_given_can_be_imported(name):
    known = {*PUBLIC, *ALIASES, *WITHIN, *WORDS, *vars(builtins), "Any", "Literal", "Mapping"}
    for base in PUBLIC[name].__mro__:
        for field, note in vars(base).get("__annotations__", {}).items():
            if not field.startswith("_") and base.__module__.startswith("gradflow"):
                types = re.sub("'.*?'", "", getattr(note, "__forward_arg__", str(note)))
                assert set(re.findall(r"[A-Za-z_]\w*", types)) <= known, (field, note)


def test_help_is_a_page_that_begins_with_the_package_and_goes_through_its_calls():
    text = pydoc.plain(pydoc.render_doc(gradflow))
    assert len(text.splitlines()) < 400
    assert "__dataclass_fields__" not in text
    assert all(f"    {name}(" in text for name in CALLS)
    parameters = pydoc.plain(pydoc.render_doc(gradflow.Params))
    assert "`unroll` takes (R, *shape)" in parameters
