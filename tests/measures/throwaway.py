"""Measures as somebody would add them: each one file of `gradflow/measures/` and one line.

`sizes` makes its own passes, `counted` watches the backward pass.
"""

from __future__ import annotations

import sys

import gradflow.measures

SIZES = '''"""How large the states are."""

import numpy as np

from gradflow.numerics.magnitudes import Magnitudes
from gradflow.measures.contract import Curve, Figure, Measure, Option
from gradflow.measures.measured import Measured


def of(subject, *, power, which, floor):
    if which == "none":
        return [Measured(note="there is nothing: [red]to see[/]")] * subject.runs
    found = []
    for r in range(subject.runs):
        last = np.concatenate([subject.net.places[at].last[r] for at in subject.places], axis=-1)
        size = float(np.sqrt(np.mean(last**2))) ** power + floor
        lags = np.arange(subject.settings[r]["sequence_length"] + 1)
        size_at = Magnitudes.of(np.full(len(lags) - 1, 0.5), -2000 * lags[:-1])
        curves = {"log10_line": -1.5 * lags, "size": size_at}
        figures = {"sizes_rms": size, "sizes_h_word": "small", "sizes_none": None}
        found.append(Measured(curves, figures))
    return found


MEASURE = Measure(
    "sizes",
    "how large the states are",
    curves=(
        Curve("log10_line", "a line", is_log10=True),
        Curve("size", "one that leaves float range", any_size=True),
    ),
    figures=(
        Figure("sizes_rms", "number", "root mean square of the last state"),
        Figure("sizes_<part>_word", "text", "in a word"),
        Figure("sizes_none", "number", "what nobody knows"),
    ),
    options={
        "power": Option(1, "the exponent", least=1),
        "which": Option("all", "of what", choices=("all", "none")),
        "floor": Option(0.0, "what is added", least=0.0),
    },
    scope="SCOPE",
    of=of,
)
'''

COUNTED = '''"""How many steps the backward pass has."""

from gradflow.measures.contract import Figure, Measure
from gradflow.measures.measured import Measured


class Steps:
    def __init__(self, subject):
        self.runs, self.count = subject.runs, 0

    def add(self, block):
        self.count += len(block.dz.value)

    def found(self):
        return [Measured({}, {"counted_seen": self.count})] * self.runs


MEASURE = Measure(
    "counted",
    "how many steps the backward pass has",
    figures=(Figure("counted_seen", "whole", "so many"),),
    scope="place",
    observe=Steps,
)
'''


def added(folder, patch, scope="net"):
    """Add both, with a file and a line each; `patch` takes them away again."""
    for name, text in (("sizes", SIZES.replace("SCOPE", scope)), ("counted", COUNTED)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        patch.delitem(sys.modules, f"gradflow.measures.{name}", raising=False)
        patch.setattr(gradflow.measures, "OPTIONAL", gradflow.measures.OPTIONAL)
    patch.setattr(gradflow.measures, "__path__", [*gradflow.measures.__path__, str(folder)])
    before = list(gradflow.measures.OPTIONAL)
    gradflow.measures.OPTIONAL[:] = [*before, "sizes", "counted"]
    return before


def removed(before):
    """As it was."""
    gradflow.measures.OPTIONAL[:] = before
    for name in ("sizes", "counted"):
        sys.modules.pop(f"gradflow.measures.{name}", None)
        vars(gradflow.measures).pop(name, None)
