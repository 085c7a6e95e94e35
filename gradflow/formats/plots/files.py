"""A figure as the bytes of a file, the same for the same figure."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from gradflow.formats.plots import style

_DPI = 200
_UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "gradflow",
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "pdf.fonttype": 42,
}


def content(figure: Figure, kind: str) -> bytes:
    """The bytes of a `svg`, `png` or `pdf` file."""
    made = io.BytesIO()
    with mpl.rc_context({**style.SETTINGS, **_SETTINGS}):
        figure.savefig(made, format=kind, metadata=_UNDATED[kind], dpi=_DPI)
    found = made.getvalue()
    return _for_either_page(found.decode("utf-8")).encode() if kind == "svg" else found


def _for_either_page(svg: str) -> str:
    """The SVG with a style sheet that turns ink and paper round on a dark page."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in style.DARK.items()
        for what in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + "\n " + sheet, svg, count=1)
