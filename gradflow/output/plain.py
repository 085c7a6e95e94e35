"""What gradflow prints, in the characters of a narrow encoding: ASCII for an old terminal."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata

_ALIKE = {
    "‖": "|", "∂": "d", "×": "*", "·": ".", "…": "...", "–": "-", "—": "-", "±": "+-", "≈": "~",
    "↓": "v", "↑": "^", "→": "->", "−": "-", "∞": "inf", "≥": ">=", "≤": "<=", "√": "sqrt",
    "Σ": "sum", "Π": "prod", "Γ": "Gamma", "∇": "grad", "½": "1/2", "∘": "o", "⟨": "<", "⟩": ">",
    "α": "alpha", "β": "beta", "γ": "gamma", "χ": "chi", "λ": "lambda", "μ": "mu", "ρ": "rho",
    "σ": "sigma", "φ": "phi", "─": "-", "│": "|", "█": "#", "▏": ".", "▎": ".", "▍": ":",
    "▌": ":", "▋": "+", "▊": "+", "▉": "#", "▁": "_", "▂": "-", "▃": "~", "▄": "=", "▅": "+",
    "▆": "*", "▇": "%",
}  # fmt: skip
"""Most take as many columns as what they replace, so that tables stay aligned."""

_SPACED = re.compile("± | ±(?! )")  # takes a blank along, as wide as what is put in its place

HANDLER = "gradflow.output.plain"


def legible(text: str, encoding: str) -> str:
    """The text in characters that an encoding has, tables as wide as they were."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if not "±".encode(encoding, "ignore"):
            text = _SPACED.sub("+-", text)
        return text.encode(encoding, HANDLER).decode(encoding)
    return text


def terminal_encoding(stream: str) -> str:
    """What a terminal shows, given the encoding of the stream to it. In the locale C Python takes
    UTF-8, since most who have set none can see it; who has set it has asked for ASCII."""
    said = {"PYTHONIOENCODING", "PYTHONUTF8"} & os.environ.keys()
    return "ascii" if not said and os.environ.get("LC_ALL") in ("C", "POSIX") else stream


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_plain(character, error.encoding) for character in found), error.end


def _plain(character: str, encoding: str) -> str:
    """A character by one that looks like it, without its accents, or a question mark."""
    for text in (_ALIKE.get(character), unicodedata.normalize("NFKD", character)):
        kept = (text or "").encode(encoding, "ignore").decode(encoding)
        if kept:
            return kept
    return "?"


codecs.register_error(HANDLER, _replaced)
