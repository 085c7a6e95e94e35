"""`docs/weights.md` next to what is read."""

from __future__ import annotations

import re
from pathlib import Path

from gradflow.config.model import WeightsModel
from gradflow.weights import suffixes
from gradflow.weights.conventions.reparametrized import FORMS

TEXT = (Path(__file__).parents[2] / "docs" / "weights.md").read_text(encoding="utf-8")


def first_column(heading):
    """The code in the first column of the table below a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [code for cell in rows for code in re.findall(r"`([^`]+)`", cell)]


def test_the_table_of_formats_is_the_list_of_readers():
    assert first_column("Formats") == list(suffixes())


def test_the_table_of_keys_has_every_key_of_weights():
    assert sorted(first_column("Nets in a file")) == sorted(WeightsModel.model_fields)


def test_every_form_that_parameters_are_put_together_from_is_told():
    words = {
        "raw": "weight drop",
        "norm": "weight norm",
        "spectral": "spectral",
        "pruned": "pruning",
    }
    assert set(words) == set(FORMS) - {"whole"}
    section = TEXT.split("\n## Weights that are kept in parts\n")[1]
    assert all(word in section for word in words.values())
