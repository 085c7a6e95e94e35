"""What gradflow prints, in the characters of a narrow encoding: ASCII for an old terminal."""

from __future__ import annotations

import codecs
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

HANDLER = "gradflow.output.plain"


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
