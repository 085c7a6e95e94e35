"""A figure as the bytes of a file, the same for the same figure; on a light page or a dark one."""

from __future__ import annotations

import io
import re
from collections.abc import Set
from html import escape
from typing import Any

from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gradflow.formats.look import Theme
from gradflow.formats.plots import style

_DPI = 200
_UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "gradflow",
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "pdf.fonttype": 42,
}
_PARTS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def content(figure: Figure, kind: str, theme: Theme = "auto") -> bytes:
    """The bytes of a `svg`, `png` or `pdf` file. Of theme `auto` an SVG follows its reader."""
    made = io.BytesIO()
    with style.own(**_SETTINGS), style.any_letter():
        paper = figure.get_facecolor()
        figure.savefig(
            made, format=kind, metadata=_UNDATED[kind], dpi=_DPI, facecolor=paper, edgecolor="none"
        )
    if kind != "svg":
        return made.getvalue()
    return _named(made.getvalue().decode("utf-8"), str(figure.get_label()), theme).encode()


def turn(root: Artist, but: Set[Artist] = frozenset()) -> None:
    """Turn ink, paper and colours round for a dark page, of everything below an artist but some."""
    table = style.turned()
    for artist in root.findobj(lambda artist: artist not in but):
        for part in _PARTS:
            get, put = (getattr(artist, f"{how}_{part}", None) for how in ("get", "set"))
            if get is None or put is None:
                continue
            found = get()
            try:
                colour = to_hex(found[0] if getattr(found, "ndim", 1) == 2 else found)
            except (ValueError, IndexError, TypeError):
                continue
            if colour in table:
                put(table[colour])


def _named(svg: str, label: str, theme: Theme) -> str:
    """The SVG with its name for those who hear it, and, where it is to follow its reader, a style
    sheet that turns ink and paper round on a dark page."""
    sheet = ""
    if theme == "auto":
        rules = "".join(
            f'.gradflow [style*="{what}: {light}"]{{{what}:{dark}!important}}'
            for light, dark in style.turned().items()
            for what in ("fill", "stroke")
            if f"{what}: {light}" in svg
        )
        sheet = f"\n <style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    name = f' class="gradflow" role="img" aria-label="{escape(label)}">'
    return re.sub(r"(<svg [^>]*)>", lambda found: found[1] + name + sheet, svg, count=1)
