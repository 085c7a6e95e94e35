"""What eight configs print, in every format, as it was when it was last looked at.

`pytest tests/test_golden.py --update-golden` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from printed import assert_alike, printed

FOLDER = Path(__file__).parent / "golden"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
ROWS = 8
SUFFIXES = {"table": ".txt", "csv": ".csv.txt", "json": ".keys.json", "markdown": ".md"}


def skeleton(value):
    """JSON without its values: the keys in their order, and what is there."""
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    if isinstance(value, list):
        kinds = []
        for item in map(skeleton, value):
            if item not in kinds:
                kinds.append(item)
        return kinds
    names = {str: "text", bool: "truth", int: "number", float: "number", type(None): None}
    return names[type(value)]


def kept(name, text):
    """What is held fast of a format's text: of long ones, not everything."""
    if name == "csv":
        return "".join(text.splitlines(keepends=True)[: 1 + ROWS])
    if name == "json":
        return json.dumps(skeleton(json.loads(text)), indent=1) + "\n"
    return text


def test_there_are_eight():
    assert len(CONFIGS) == 8


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_is_printed(path, request):
    _, texts = printed(path, *SUFFIXES)
    for name, suffix in SUFFIXES.items():
        file = path.with_suffix(suffix)
        now = kept(name, texts[name])
        if request.config.getoption("--update-golden"):
            file.write_text(now, encoding="utf-8", newline="\n")
        assert_alike(now, file.read_text(encoding="utf-8"))


def test_no_file_is_left_of_a_config_that_is_gone():
    named = {path.with_suffix(suffix) for path in CONFIGS for suffix in SUFFIXES.values()}
    inputs = {FOLDER / "trained.npz", FOLDER / "windows.csv"}
    assert set(FOLDER.iterdir()) == {*CONFIGS, *named, *inputs}


def test_another_digit_or_word_is_seen():
    assert_alike("rnn  1.00 ▅▃  2.3e-05", "rnn 1.01 ▅▅  2.4e-05")
    for other in ("rnn 1.02 2.3e-05", "gru 1.00 2.3e-05", "rnn 1.00 2.3e-06", "rnn 1.00"):
        with pytest.raises(AssertionError):
            assert_alike(other, "rnn 1.00 2.3e-05")
