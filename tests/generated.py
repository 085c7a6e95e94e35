"""The parts of pages that are made from the code: between `<!-- NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Callable

from gradflow.config import documented as config
from gradflow.formats import columns
from gradflow.measures import documented as measures

PARTS: dict[str, Callable[[], str]] = {
    "config reference": config.table,
    "config mappings": config.mappings,
    "cell options": config.options,
    "csv columns": columns.documented,
    "measures, from what they declare": measures.sections,
}
_PART = re.compile(rf"<!-- ({'|'.join(PARTS)}) -->\n(.*?)<!-- end -->", re.DOTALL)


def parts(text: str) -> dict[str, str]:
    """The generated parts of a page as it shows them, by name."""
    return dict(_PART.findall(text))


def current(text: str) -> str:
    """A page with its generated parts as they are now."""
    return _PART.sub(lambda part: f"<!-- {part[1]} -->\n{PARTS[part[1]]()}<!-- end -->", text)
