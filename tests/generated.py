"""The parts of pages that are made from the code: between `<!-- NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import EnumMeta
from typing import Any, get_args, get_type_hints

from typer.main import get_command

from gradflow.cli import app_for
from gradflow.config import documented as config
from gradflow.formats import columns
from gradflow.measures import documented as measures


def commands() -> str:
    """A section for each command: what it does, and its options."""
    return "\n".join(map(_command, get_command(app_for()).commands.values()))


def _command(command: Any) -> str:
    words = ["gradflow", command.name]
    words += [one.metavar for one in command.params if one.param_type_name == "argument"]
    lines = [f"### `{' '.join(words)}`", "", " ".join(command.help.split()), ""]
    options = [one for one in command.params if one.param_type_name == "option"]
    if options:
        types = get_type_hints(inspect.unwrap(command.callback))
        rows = [_option(one, types[one.name]) for one in options]
        lines += ["| option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _option(option: Any, type_: Any) -> str:
    """`--rows lags|runs`, its short name and its help."""
    names = sorted(option.opts, key=len)
    choices = [str(one.value) for kind in (type_, *get_args(type_))
               if isinstance(kind, EnumMeta) for one in kind]  # fmt: skip
    value = "|".join(choices) or (option.metavar or "").strip("<>")
    if value and not option.is_flag:
        names[-1] += f" {value}"
    shown = ", ".join(f"`{name}`" for name in names)
    cells = [text.replace("|", r"\|") for text in (shown, option.help)]
    return f"| {' | '.join(cells)} |"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
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
