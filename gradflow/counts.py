"""How many of what, as people write it: `1 run`, `1,204 runs`."""

from __future__ import annotations


def many(count: int | str, noun: str, plural: str = "") -> str:
    """A count with its noun, one of them without the s.

    Args:
        count: how many, or the same as text: of a number that is no whole one.
        noun: of one.
        plural: of several, where it is not the noun with an s.
    """
    number = count if isinstance(count, str) else f"{count:,}"
    return f"{number} {noun if number == '1' else plural or noun + 's'}"
