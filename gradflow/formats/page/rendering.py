"""A page as the bytes of one HTML file that needs nothing else.

Style sheet and script are in the file, and its policy lets no other be loaded or run: what is
fetched from elsewhere, or hidden in somebody's title, has no effect even where it got through.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradflow import __version__
from gradflow.formats.look import Theme
from gradflow.formats.page.content import Page

_DARK = "@media screen and (prefers-color-scheme: dark)"

MARKS = {
    "vanishing": "↓",
    "exploding": "↑",
    "stable": "→",
    "unknown": "–",
    "diverged": "×",
    "held": "✓",
    "missed": "✗",
    "undecided": "?",
}
"""The sign of each verdict and outcome: colour is never all that differs."""


def rendered(page: Page, theme: Theme = "auto") -> bytes:
    """The file. The same page gives the same bytes.

    Args:
        page: what is on it.
        theme: `light` or `dark` on any screen; `auto`: as its reader's system is.
    """
    environment = _environment()
    style, script = _style(page, theme), _resource("script.js")
    text = environment.get_template("page.html").render(
        page=page,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        signs=MARKS,
        schemes="light dark" if theme == "auto" else theme,
    )
    return text.encode("utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gradflow.formats.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _resource(name: str) -> str:
    return resources.files("gradflow.formats.page").joinpath("templates", name).read_text("utf-8")


def _style(page: Page, theme: Theme) -> str:
    """The style sheet, with the colours of the page's figures in the dark."""
    dark = {"auto": _DARK, "light": "@media not all", "dark": "@media screen"}[theme]
    rules = "".join(
        f'.drawing [{what}="{light}"] {{ {what}: {dark}; }}\n'
        for light, dark in sorted(page.dark.items())
        for what in ("fill", "stroke")
    )
    of_figures = f"{_DARK} {{\n{rules}}}\n" if rules else ""
    return (of_figures + _resource("style.css")).replace(_DARK, dark)


def _policy(style: str, script: str) -> str:
    """What the page may load and run: its own style sheet and script, and images within it."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
