"""What JSON writes as two escapes, a character beyond U+FFFF, in the one escape that YAML knows."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

_PAIR = re.compile(r"(\\\\)|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

Shifts = Mapping[int, Sequence[int]]
"""By line, the columns that follow a pair, in the text where it is one escape."""


def without_pairs(characters: str) -> tuple[str, Shifts]:
    """A text of JSON with the characters that JSON writes as two escapes (`\\ud83d\\ude00`) in the
    one that YAML knows, two characters shorter; by line, the columns that follow such a pair. Any
    other text as it is."""
    if not any(match[2] for match in _PAIR.finditer(characters)):
        return characters, {}
    try:
        json.loads(characters)
    except (ValueError, RecursionError):
        return characters, {}
    shifts: defaultdict[int, list[int]] = defaultdict(list)

    def in_one(match: re.Match[str], line: int) -> str:
        if match[2] is None:
            return match[0]
        shifts[line].append(match.start() - 2 * len(shifts[line]) + 11)
        return f"\\U{ord(bytes.fromhex(match[2] + match[3]).decode('utf-16-be')):08x}"

    lines = enumerate(characters.splitlines(keepends=True), 1)
    return "".join(_PAIR.sub(partial(in_one, line=number), line) for number, line in lines), shifts


def column_before(shifts: Shifts, line: int, column: int) -> int:
    """The column of a position in the text that was given to `without_pairs`."""
    return column + 2 * bisect_right(shifts.get(line, ()), column)
