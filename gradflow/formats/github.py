"""What GitHub shows of a check: an error on the line of the config that asked for it, or of the
cell that is not as in the baseline, and a summary of the step in Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from gradflow.checks.checked import Checked, Line
from gradflow.errors import Fault
from gradflow.formats.checks import to_markdown
from gradflow.formats.look import Look
from gradflow.formats.markdown import escaped, prose
from gradflow.formats.words import clean

MOST = 10
"""GitHub shows no more errors of one step; of notices, which say how many more there are, it shows
as many again."""


def export(checked: Checked, look: Look) -> Iterator[str]:
    """A workflow command for each of the first errors, then what all came to."""
    errors = [line for line in checked.lines if line.fails]
    yield from (_error(line, checked) for line in errors[:MOST])
    yield from _more(len(errors), "gradflow check", checked.source)
    yield f"{clean(checked.summary)}\n"


def faults(found: Iterable[Fault]) -> Iterator[str]:
    """Faults of a config as errors on its lines."""
    found = list(found)
    for fault in found[:MOST]:
        option, file = _option_or_file(fault.source or "")
        message = ": ".join(text for text in (option, fault.key, fault.message) if text)
        yield command(message, "gradflow: config", file, fault.line, fault.column)
    yield from _more(len(found), "gradflow: config", "")


def summary(checked: Checked) -> Iterator[str]:
    """What is shown on the page of the run."""
    yield from to_markdown(checked, Look())
    yield "\n"


def summary_of_faults(source: str, found: Iterable[Fault]) -> Iterator[str]:
    """What is shown there of a config that can not be checked."""
    yield f"### gradflow check: {escaped(clean(source))}: can not be checked\n\n"
    yield from (f"- {prose(clean(str(fault)))}\n" for fault in found)
    yield "\n"


def command(
    message: str,
    title: str,
    file: str,
    line: int | None,
    column: int | None = None,
    kind: str = "error",
) -> str:
    """`::error file=net.yaml,line=7,title=...::message`, everything escaped; without a file no
    line either."""
    at = _in_repository(file) if file not in ("", "-") else None
    where = {"file": at, "line": line, "col": column} if at else {}
    named = {**where, "title": title}
    properties = ",".join(
        f"{name}={_escaped(str(value), ':,')}" for name, value in named.items() if value
    )
    return f"::{kind} {properties}::{_escaped(message)}\n"


def _in_repository(file: str) -> str:
    """The file from the top of the repository, which GitHub counts from; as it was named where it
    is not in there, or GitHub does not run this."""
    top = os.environ.get("GITHUB_WORKSPACE")
    if not top:
        return file
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(top))
    return file if inside.startswith(os.pardir) else inside.replace(os.sep, "/")


def _error(line: Line, checked: Checked) -> str:
    """An error on the line that asked for what is missed, on that of the cell where none did."""
    option, _ = _option_or_file(line.asked_at)
    off = f", {line.off}" if line.off else ""
    said = (option, f"{line.outcome}: {line.of}: wanted {line.what}, got {line.got}{off}")
    at = checked.line if line.line is None else line.line
    place = ("", None) if option else (checked.source, at)
    return command(": ".join(filter(None, said)), f"gradflow: {line.what}", *place)


def _more(count: int, title: str, file: str) -> Iterator[str]:
    """How many errors are not shown."""
    if count > MOST:
        yield command(f"… and {count - MOST} more", title, file, None, kind="notice")


def _option_or_file(source: str) -> tuple[str, str]:
    """Where something was asked for: an option, which GitHub shows on the step, or a file."""
    return (source, "") if source.startswith("--") else ("", source)


def _escaped(text: str, more: str = "") -> str:
    """As GitHub's runner unescapes it."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
