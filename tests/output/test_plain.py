"""Characters for encodings that have fewer."""

from __future__ import annotations

import pytest

from gradflow.output.plain import HANDLER


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
