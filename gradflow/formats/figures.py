"""How a measure's figures, which have one flat name each, are nested in JSON.

`gates_<gate>_p50` of the measure `gates` is `{"f": {"p50": ...}}`, `lyapunov_<i>` the list
`{"lyapunov": [...]}`; any other figure is by its flat name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradflow.measures.contract import Figure, Measure

_NUMBERED = "_<i>"


@dataclass(frozen=True)
class Form:
    """How the figures of one declaration are nested.

    Attributes:
        figure: the declaration.
        listed: the key of the list of all of them, for numbered ones.
        inner: the key within the object of the gate, or whatever the `<>` is.
    """

    figure: Figure
    listed: str | None = None
    inner: str | None = None


def forms(measure: Measure) -> list[Form]:
    """Those of all its declarations: plain names first, then what says most of a name."""
    found = [_form(measure, figure) for figure in measure.figures]
    return sorted(found, key=lambda form: ("<" in form.figure.name, -len(form.figure.name)))


def nested(measure: Measure, figures: Mapping[str, object]) -> dict[str, object]:
    """The figures of a run by the keys that JSON has for them."""
    known = forms(measure)
    found: dict[str, object] = {}
    for name, value in figures.items():
        form, match = next((f, m) for f in known if (m := f.figure.pattern.fullmatch(name)))
        if form.listed is not None:
            found.setdefault(form.listed, []).append(value)  # type: ignore[attr-defined]
        elif form.inner is not None:
            found.setdefault(match[1], {})[form.inner] = value  # type: ignore[index]
        else:
            found[name] = value
    return found


def _form(measure: Measure, figure: Figure) -> Form:
    name = figure.name
    before, _, after = name.partition("<")
    after = after.partition(">")[2]
    if name.endswith(_NUMBERED):
        return Form(figure, listed=name.removesuffix(_NUMBERED))
    is_inside = before == f"{measure.name}_" and after.startswith("_")
    return Form(figure, inner=after[1:] if is_inside else None)
