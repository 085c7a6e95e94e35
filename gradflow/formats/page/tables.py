"""Tables of a page from columns of texts, as Markdown and tables for terminals have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from gradflow.axes import KNOWN
from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.page.content import Column

_NUMBER = re.compile(
    r"(> ?)?[-+]?(\d[\d,]*(\.\d*)?(e[-+]?\d+)?|inf|infinite)( (±|\(|to ).*)?"  # with its error
)
_KEYS = {axis.symbol: key for key, axis in KNOWN.items()}
"""By the head of a column of settings, the key that a filter may call it."""
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?")


def column(head: str, texts: Iterable[str], name: str = "", marks: Sequence[str] = ()) -> Column:
    """A column, of numbers where every text is one, or says that there is none; that of a setting
    is also called by its key."""
    shown = [words.clean(text) for text in texts]
    there = [text for text in shown if text and not text.startswith(words.UNKNOWN)]
    numbers = bool(there) and all(_NUMBER.fullmatch(text) for text in there)
    head = words.clean(head)
    return Column(head, shown, name or _KEYS.get(head, ""), marks, is_number=numbers)


def columns(pairs: Iterable[tuple[str, Sequence[str]]]) -> list[Column]:
    """A column for each head and its texts."""
    return [column(head, texts) for head, texts in pairs]


def beyond(texts: Iterable[str], look: Look) -> list[str]:
    """On which side of the thresholds each relative gradient lies: a mark, or none."""
    vanishing, exploding = (Decimal(repr(bound)) for bound in look.thresholds)
    found = []
    for text in texts:
        value = Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else Decimal(1)
        found.append("vanishing" if value < vanishing else "exploding" if value > exploding else "")
    return found
