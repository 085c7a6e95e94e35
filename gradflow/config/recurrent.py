"""`ws_scale` and `ws_init` where a cell has no recurrent weights for them."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.cells import Cell
from gradflow.config.cells import Choice
from gradflow.config.faults import Faults
from gradflow.config.model import Config
from gradflow.equations.initial import uses_drawn
from gradflow.equations.mistakes import EquationsError

KEYS = ("ws_init", "ws_scale")


def idle_keys(config: Config, choices: Sequence[Choice], faults: Faults) -> list[tuple[str, ...]]:
    """For each cell those of the keys that change nothing of it. Where that is so of every cell, a
    key that is given is a fault."""
    found: dict[Cell, bool] = {}
    for cell in (choice.cell for choice in choices):
        if cell.typical not in found:
            found[cell.typical] = _is_idle(cell, config)
    idle = [found[choice.cell.typical] for choice in choices]
    if all(idle):
        for key in KEYS:
            if key in config.model_fields_set and choices:
                faults.add((key,), _instead(key, choices, config), key=True)
    return [KEYS if one else () for one in idle]


def _is_idle(cell: Cell, config: Config) -> bool:
    """Whether no recurrent weights are drawn as the config says. What a file has in place of others
    (the logarithms of an lru's decays, say) is no more to be scaled than their initial values."""
    return not any(_recurrent(cell, config))


def _recurrent(cell: Cell, config: Config) -> list[bool]:
    """For each recurrent parameter, whether its initial value is drawn as the config says."""
    try:
        step = cell.read_for(config.hidden_size[0], config.input_size)
    except EquationsError:  # which is a fault once the sizes of each run are known
        return [True]
    return [
        uses_drawn(parameter.init)
        for parameter in cell.equations.parameters
        if step.roles.get(parameter.name) == "recurrent"
    ]


def _instead(key: str, choices: Sequence[Choice], config: Config) -> str:
    """Why a key has no meaning, and what does the job."""
    cells = [choice.cell for choice in choices]
    names = list(dict.fromkeys(cell.name for cell in cells))
    listed = " and ".join(", ".join(names).rsplit(", ", 1))
    options = list(dict.fromkeys(name for cell in cells for name in cell.options))
    other = f"wx_{key[3:]} is there for the input weights"
    own = "the cell has" if len(names) == 1 else "the cells have"
    other += f", and {own} options: {', '.join(options)}" if options else ""
    if any(_recurrent(cell, config) for cell in cells):
        return (
            f"has no meaning: the recurrent weights of {listed} have their own `init`; "
            f"change it there, or write `drawn` in it; {other}"
        )
    have = "has" if len(names) == 1 else "have"
    return f"has no meaning: {listed} {have} no recurrent weights; {other}"
