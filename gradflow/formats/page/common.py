"""What pages have in common: their title, and with what everything was made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gradflow.formats import words
from gradflow.formats.json import head
from gradflow.formats.look import Look
from gradflow.formats.page.content import Facts, Folded, Part, Prose, Section
from gradflow.results import Result

MANY = 4
"""So many names are given one by one."""


def titled(look: Look, otherwise: str) -> str:
    """The user's own title, or another."""
    return words.clean(look.title or "") or otherwise


def cells_of(labels: Iterable[object]) -> str:
    """`rnn, lstm`, or how many cells they are."""
    names = list(dict.fromkeys(words.clean(str(label)) for label in labels))
    return ", ".join(names) if len(names) <= MANY else f"{len(names)} cells"


def sentence(text: str) -> str:
    """`text` with a capital at its start and a point at its end."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?")) else ".")


def notes(results: Sequence[Result]) -> Iterator[Section]:
    """What was taken for granted, and which runs diverged; nothing if neither is so."""
    by_note: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            by_note.setdefault(words.clean(note), []).append(words.name(result))
    found = [
        sentence(f"{', '.join(dict.fromkeys(names))}: {note}" if len(results) > 1 and
                 len(set(names)) <= MANY else note)
        for note, names in by_note.items()
    ]  # fmt: skip
    if found:
        yield Section("notes", "Notes", [Prose(found)])


def provenance(look: Look) -> Section:
    """Versions, linear algebra, and the config with every default."""
    made = look.made or head(look.config)
    return Section("provenance", "Provenance", list(made_with(made)))


def made_with(made: Mapping[str, object], of: str = "") -> Iterator[Part]:
    """The head of a JSON: versions, then the config; `of`: the file that it is in."""
    own = [("file", words.clean(of))] if of else []
    own.append(("gradflow", words.clean(str(made.get("gradflow")))))
    yield Facts(sorted([*own, *_facts(made.get("provenance"))], key=lambda fact: len(fact[1]) > 40))
    if made.get("config"):
        summary = "The whole config, every default filled in"
        yield Folded(f"{summary}: {words.clean(of)}" if of else summary, plainly(made["config"]))


def _facts(found: object) -> Iterator[tuple[str, str]]:
    """Every name and value; of an object its values."""
    for name, value in found.items() if isinstance(found, Mapping) else ():
        if isinstance(value, Mapping):
            value = ", ".join(str(one) for one in value.values() if one is not None)
        if name != "gradflow" and value is not None:
            yield words.clean(str(_CALLED.get(name, name))), words.clean(str(value))


_CALLED = {
    "python": "Python",
    "numpy": "NumPy",
    "blas": "BLAS",
    "config_sha256": "config, SHA-256",
}


def plainly(content: object) -> str:
    """JSON to be read by people, with nothing in it that would turn text around."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
