"""What a measure says of itself, and what it is given.

A measure is a module of this folder with a `MEASURE`: its name, what it means, the columns and
figures it gives, the options it takes, and the function that finds them. It is one of two kinds:

`observe`  watches the loss's backward pass through one place: `observe(subject, **options)` gives
           a `Watcher`, which sees every block and then says what it found.
`of`       makes its own passes: `of(subject, **options)`.

Both give a list of `Measured`, one a run of the subject.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, TypeAlias

from gradflow.axes import Kind
from gradflow.cells.contract import Params
from gradflow.cells.sized import SizedCell
from gradflow.engine.block import Block
from gradflow.engine.flow import Trajectory
from gradflow.engine.network import Losses, NetTrajectory, Place
from gradflow.measures.drawn import Drawn
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow

Values: TypeAlias = "Magnitudes | Array | None"
"""A column; None where the cell has no such thing."""


class Curve(NamedTuple):
    """Values against lag: (T+1,) or (T,).

    Attributes:
        name: of the column; `grad_<part>` is one column a part.
        meaning: in words, for the docs and the schema.
        any_size: whether they are Magnitudes, which may leave float range; else floats.
        later: whether the column came after those of the place, and is right of it: columns are
            only ever added.
        of: where a GradientFlow has the values, for what is always measured; None: they are in
            `Measured.curves` by the name.
        is_log10: whether the values are logarithms, and so of either sign.
    """

    name: str
    meaning: str
    any_size: bool = False
    later: bool = False
    of: Callable[[GradientFlow], Values] | None = None
    is_log10: bool = False


@dataclass(frozen=True)
class Figure:
    """A number or word of a run, by its flat name; `gates_<gate>_p50` is one a gate.

    Attributes:
        is_log: whether it is a natural logarithm, and so of either sign.
    """

    name: str
    kind: Kind
    meaning: str
    is_log: bool = field(default=False, kw_only=True)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What its flat names match; the group, if there is one, is what is in place of `<...>`."""
        before, _, rest = self.name.partition("<")
        word, _, after = rest.partition(">")
        if not word:
            return re.compile(re.escape(before))
        inner = "[0-9]+" if word == "i" else ".+?"
        return re.compile(f"{re.escape(before)}({inner}){re.escape(after)}")


class Option(NamedTuple):
    """What a measure can be asked for: a number of the default's type, or one of `choices`.

    Attributes:
        default: a whole number, a number or, with `choices`, a name.
        meaning: in words.
        least: the bound of a number, itself allowed.
        choices: the names that may be given.
    """

    default: int | float | str
    meaning: str
    least: float | None = None
    choices: tuple[str, ...] = ()


Scope = Literal["net", "place", "both"]
"""Of what a measure is in a net of several places. `net`: of the whole state, in a bidirectional
net, which has none, of each place alone; `place`: of each place alone; `both`: of each place, and
of the whole if there is one."""


@dataclass(frozen=True, eq=False)
class Measure:
    """A measure's declaration.

    Attributes:
        name: what a config calls it; that of its module.
        meaning: in one line.
        curves, figures: all it can give.
        options: by name, each an argument of the function.
        scope: of what it is in a net of several places.
        of, observe: the function that finds it, one of the two; neither for what is always
            measured (see `flows`).
        room: the bytes that it takes at most for one run, besides the tape, from T, N, the
            components of the state and its options; None: next to nothing.
        drawn: its panels in a figure (see `drawn`); without one it is in no figure.
    """

    name: str
    meaning: str
    curves: tuple[Curve, ...] = ()
    figures: tuple[Figure, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    scope: Scope = "net"
    of: Callable[..., Sequence[Measured]] | None = None
    observe: Callable[..., Watcher] | None = None
    room: Callable[..., int] | None = None
    drawn: tuple[Drawn, ...] = ()

    def declared(self, name: str) -> Figure | None:
        """The declaration of a figure by its flat name: that which says most of it."""
        found = [figure for figure in self.figures if figure.pattern.fullmatch(name)]
        return max(found, key=lambda one: ("<" not in one.name, len(one.name)), default=None)

    @property
    def always(self) -> bool:
        """Whether it is measured without being asked for."""
        return self.of is None and self.observe is None


@dataclass(frozen=True)
class Asked:
    """A measure that a config asks for.

    Attributes:
        name: of the measure.
        options: every option of it, by name.
    """

    name: str
    options: Mapping[str, int | float | str] = field(default_factory=dict)


class Watcher(Protocol):
    """Watches the backward pass of R runs through one place."""

    def add(self, block: Block) -> None:
        """Look at one block; the first one is the last in time. Nothing of it may be kept but as a
        copy."""

    def found(self) -> Sequence[Measured]:
        """What was seen, one a run; called after the last block."""


class OneLoss(NamedTuple):
    """The loss of one step alone, of any of those where it is read; where that is only the last,
    the same loss read at any other.

    Attributes:
        steps: by place, these steps 1..T in its own time, by their number.
        gradient: from a place, the number of a step, and the states (R, N, S_all) there of the
            places in `together`, or of this one, to ∂L_t/∂s_t of each sample, the same shape.
        together: the places whose states a gradient needs at once; empty: its own alone.
        truncate: behind every so many steps, in a place's own time, the state is cut off from its
            past; None: nowhere.
    """

    steps: Mapping[Place, Array]
    gradient: Callable[[Place, int, Mapping[Place, Array]], Array]
    together: tuple[Place, ...] = ()
    truncate: int | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured: R runs whose forward pass is done, and the gradient that is sent back.

    Attributes:
        net: the forward pass of the whole net.
        ds_T: (R, N, S_all) by place, the gradient of each sample's own loss at the last state.
        places: what is looked at: all places, or a single one, whose inputs are held fixed.
        settings: one a run: what results call its axes and options, `input_kind`, `input_scale`,
            and whether it is `trained`.
        losses: what a loss adds to the gradient at other steps than the last; None: nothing.
        one_loss: the loss of one step alone.
    """

    net: NetTrajectory
    ds_T: Mapping[Place, Array]
    places: tuple[Place, ...]
    settings: tuple[Mapping[str, object], ...] = ()
    losses: Losses | None = None
    one_loss: OneLoss | None = None

    @property
    def layers(self) -> list[Trajectory]:
        """The forward pass of the places that are looked at, the lowest layer first."""
        return [self.net.places[at] for at in self.places]

    @property
    def runs(self) -> int:
        """R."""
        return len(next(iter(self.ds_T.values())))

    @property
    def place(self) -> Place:
        """The only one that is looked at."""
        (place,) = self.places
        return place

    @property
    def trajectory(self) -> Trajectory:
        """The forward pass of the only place."""
        return self.net.places[self.place]

    @property
    def cell(self) -> SizedCell:
        """The cell of the only place."""
        return self.trajectory.cell

    @property
    def params(self) -> Params:
        """The parameters of the only place, the runs on the first axis."""
        return self.trajectory.params
