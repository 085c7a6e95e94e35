"""Characters for encodings that have fewer."""

from __future__ import annotations

import pytest

from gradflow.output.plain import HANDLER, legible, terminal_encoding


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("‖∂L/∂W_s‖ W_s×0.5", "ascii", "|dL/dW_s| W_s*0.5"),
        ("0.35 ±0.01 ↓ ≈ 13 · –", "ascii", "0.35 +-0.01 v ~ 13 . -"),
        ("0.35 ±0.01 · é", "latin-1", "0.35 ±0.01 · é"),
        ("é → 日", "ascii", "e -> ?"),
        ("half ½", "ascii", "half 1/2"),
    ],
)
def test_by_what_looks_like_it(text, encoding, shown):
    assert text.encode(encoding, HANDLER).decode(encoding) == shown


def test_what_is_drawn_keeps_its_width_and_its_order():
    levels = "▁▂▃▄▅▆▇█"
    plain = levels.encode("ascii", HANDLER).decode()
    assert len(plain) == len(set(plain)) == len(levels)
    assert len("██▌─·↓↑".encode("ascii", HANDLER)) == len("██▌─·↓↑")


def test_a_table_stays_as_wide_as_it_was():
    table = "rate     half-life\n± 95 %   in steps \n─────────\n0.5 ±0.1 ≈ 3      "
    shown = legible(table, "ascii")
    assert shown == "rate     half-life\n+-95 %   in steps \n---------\n0.5+-0.1 ~ 3      "
    assert legible(table, "utf-8") == table
    assert legible("0.5 ±0.1 ≈ 3", "latin-1") == "0.5 ±0.1 ~ 3"


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        ({}, "utf-8"),
        ({"LC_ALL": "C"}, "ascii"),
        ({"LC_ALL": "POSIX"}, "ascii"),
        ({"LC_ALL": "C.UTF-8"}, "utf-8"),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, "utf-8"),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}, "utf-8"),
    ],
)
def test_who_sets_the_locale_to_c_asks_for_ascii(environment, encoding, monkeypatch):
    for name in ("LC_ALL", "PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal_encoding("utf-8") == encoding
