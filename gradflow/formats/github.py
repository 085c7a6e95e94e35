"""What GitHub shows of a check: an error on the line of the config that asked for it, and a summary
of the step in Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from gradflow.checks.checked import Checked, Line
from gradflow.errors import Fault
from gradflow.formats.checks import to_markdown
from gradflow.formats.look import Look
from gradflow.formats.words import clean

MOST = 10
"""GitHub shows no more errors of one step."""


def export(checked: Checked, look: Look) -> Iterator[str]:
    """A workflow command for each of the first errors, then what all came to."""
    errors = [line for line in checked.lines if line.fails]
    yield from (
        command(_message(line), *_place(line, checked), line.line) for line in errors[:MOST]
    )
    if len(errors) > MOST:
        yield command(f"… and {len(errors) - MOST} more", "gradflow check", checked.source, None)
    yield f"{clean(checked.summary)}\n"


def faults(found: Iterable[Fault]) -> Iterator[str]:
    """Faults of a config as errors on its lines."""
    found = list(found)
    for fault in found[:MOST]:
        file = fault.source or ""
        of_option = file.startswith("--")  # no file: shown on the step
        said = (file if of_option else None, fault.key, fault.message)
        message = ": ".join(text for text in said if text)
        file = "" if of_option else file
        yield command(message, "gradflow: config", file, fault.line, fault.column)
    if len(found) > MOST:
        yield command(f"… and {len(found) - MOST} more", "gradflow: config", "", None)


def summary(checked: Checked) -> Iterator[str]:
    """What is shown on the page of the run."""
    yield from to_markdown(checked, Look())
    yield "\n"


def command(
    message: str, title: str, file: str, line: int | None, column: int | None = None
) -> str:
    """`::error file=net.yaml,line=7,title=...::message`, everything escaped; without a file no
    line either."""
    at = _in_repository(file) if file not in ("", "-") else None
    where = {"file": at, "line": line, "col": column} if at else {}
    named = {**where, "title": title}
    properties = ",".join(
        f"{name}={_escaped(str(value), ':,')}" for name, value in named.items() if value
    )
    return f"::error {properties}::{_escaped(message)}\n"


def _in_repository(file: str) -> str:
    """The file from the top of the repository, which GitHub counts from; as it was named where it
    is not in there, or GitHub does not run this."""
    top = os.environ.get("GITHUB_WORKSPACE")
    if not top:
        return file
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(top))
    return file if inside.startswith(os.pardir) else inside.replace(os.sep, "/")


def _place(line: Line, checked: Checked) -> tuple[str, str]:
    """The title, and the file that the error is shown on."""
    return f"gradflow: {line.what}", checked.source


def _message(line: Line) -> str:
    off = f", {line.off}" if line.off else ""
    return f"{line.outcome}: {line.of}: wanted {line.what}, got {line.got}{off}"


def _escaped(text: str, more: str = "") -> str:
    """As GitHub's runner unescapes it."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
