"""The engine for the user's own parameters: `unroll` forward, `backpropagate` from any dL/ds_T."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from gradflow.cells import Cell, SizedCell
from gradflow.cells.library import CellType
from gradflow.engine import flow as engine
from gradflow.engine.flow import Progress, Trajectory
from gradflow.engine.lengths import BUDGET
from gradflow.errors import InputError, nearest
from gradflow.machine.blas import one_thread
from gradflow.measures import flows
from gradflow.numerics.arrays import Array, of_any
from gradflow.results import GradientFlow


def unroll(
    cell: CellType | Cell | SizedCell,
    params: Mapping[str, ArrayLike],
    x: ArrayLike,
    s0: ArrayLike | None = None,
    *,
    budget: int = BUDGET,
    progress: Progress = lambda steps: None,
) -> Trajectory:
    """Run R nets of one layer forward over their inputs.

        >>> import gradflow
        >>> import numpy as np
        >>> T, R, N, I, H = 50, 1, 8, 4, 16  # steps, runs, batch, inputs, units
        >>> rng = np.random.default_rng(0)
        >>> shapes = {"W": (H, I), "U": (H, H), "b": (H,)}
        >>> params = {name: rng.normal(0, 0.2, (R, *shape)) for name, shape in shapes.items()}
        >>> x = rng.normal(size=(T, R, N, I))
        >>> trajectory = gradflow.unroll(gradflow.CELLS["rnn"](activation="tanh"), params, x)
        >>> trajectory.last.shape  # s_T
        (1, 8, 16)

    Args:
        cell: one of `CELLS`, with its options: `CELLS["lstm"](forget_bias=1.0)`. `gradflow cells
            lstm` shows its parameters and state.
        params: a parameter's name to its values (R, *shape).
        x: (T, R or 1, N, I), the inputs of steps 1..T.
        s0: (R, N, S), the parts of the state side by side: of an LSTM h, then c; None: zeros.
        budget: the most bytes of tape that are kept; what goes beyond is computed again.
        progress: called with the steps done.

    Returns:
        The forward pass: `last` is (R, N, S_all), s_T; `diverged_at` (R,). All is float32 where
        everything given is, else float64.

    Raises:
        InputError: a parameter is missing, or unknown, shapes do not fit, or a number is not
            finite; with every fault.
    """
    cell = cell() if isinstance(cell, CellType) else cell
    if not isinstance(cell, Cell | SizedCell):
        found = repr(cell) if isinstance(cell, str) else f"a {type(cell).__name__}"
        raise InputError(f'cell: expected one of CELLS, such as CELLS["lstm"], found {found}')
    if not isinstance(params, Mapping):
        found = type(params).__name__
        raise InputError(f"params: expected a mapping of names to arrays, found a {found}")
    arrays, x = {name: _array(name, a) for name, a in params.items()}, _array("x", x)
    known = cell.compiled.step.shapes if isinstance(cell, Cell) else cell.parameters
    faults = [_missing(name, arrays) for name in known if name not in arrays]
    faults += [_unknown(name, list(known)) for name in arrays if name not in known]
    if x.ndim != 4 or 0 in x.shape:
        faults.append(f"x: expected (T, R, N, I), at least 1 each, found {x.shape}")
    if faults:
        raise InputError(*faults)
    try:
        sized = cell.sized_for(arrays, x.shape[-1]) if isinstance(cell, Cell) else cell
    except (ValueError, IndexError) as error:
        raise InputError(f"params: {error}") from None
    T, R, N, _ = x.shape
    lead = next(iter(arrays.values())).shape[:1]
    R = lead[0] if lead and R == 1 else R
    s0 = np.zeros((R, N, sized.S), x.dtype) if s0 is None else _array("s0", s0)
    wanted = {name: (arrays[name], (R, *sized.parameters[name].shape)) for name in known}
    wanted |= {"x": (x, (T, x.shape[1] if x.shape[1] == 1 else R, N, sized.I))}
    wanted |= {"s0": (s0, (R, N, sized.S))}
    _check(wanted)
    dtype = np.result_type(*arrays.values(), x, s0)
    dtype = np.dtype(dtype if dtype == np.float32 else np.float64)
    arrays = {name: a.astype(dtype, copy=False) for name, a in arrays.items()}
    given = (a.astype(dtype) for a in (x, s0))  # own ones: going back reads them again
    with one_thread():
        return engine.unroll(sized, arrays, *given, budget=budget, progress=progress)


def backpropagate(
    trajectory: Trajectory,
    ds_T: ArrayLike,
    *,
    share: bool = True,
    progress: Progress = lambda steps: None,
) -> list[GradientFlow]:
    """One backward pass: the gradient at every lag, for each of the R runs.

        >>> import gradflow
        >>> import numpy as np
        >>> params = {"W": np.ones((1, 1, 1)), "U": np.full((1, 1, 1), 0.5), "b": np.zeros((1, 1))}
        >>> linear = gradflow.CELLS["rnn"](activation="linear")
        >>> trajectory = gradflow.unroll(linear, params, np.ones((3, 1, 1, 1)))  # x (T, R, N, I)
        >>> [flow] = gradflow.backpropagate(trajectory, np.ones((1, 1, 1)))  # dL/ds_T = 1
        >>> flow.state, flow.totals["W_s"]  # dL/dU = s_2 + 0.5 s_1, s = 1, 1.5, 1.75
        (Magnitudes([1, 0.5, 0.25, 0.125]), 2.0)

    Args:
        trajectory: the forward pass, from `unroll`.
        ds_T: (R, N, S_all), the gradient of each sample's own loss at the last state, and in the
            rows `trajectory.cell.outputs` at the last output. (L is their mean over the batch.)
        share: also measure the running sum of the W_s terms at every lag, which costs about as
            much as another recurrent product; without it `share_W_s` is NaN.
        progress: called with the steps done.

    Returns:
        One GradientFlow a run.

    Raises:
        InputError: `ds_T` has another shape, or a number that is not finite.
    """
    if not isinstance(trajectory, Trajectory):
        found = type(trajectory).__name__
        raise InputError(f"trajectory: expected what unroll gave, found a {found}")
    last = trajectory.last
    ds_T = _array("ds_T", ds_T)
    _check({"ds_T": (ds_T, last.shape)})
    ds_T = ds_T.astype(last.dtype, copy=False)
    with one_thread():
        return flows.backpropagate(trajectory, ds_T, share=share, progress=progress)


def _array(name: str, value: object) -> Array:
    try:
        return of_any(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: expected numbers, found what is no array: {error}") from None


def _check(wanted: Mapping[str, tuple[Array, tuple[int, ...]]]) -> None:
    """That arrays have these shapes and finite numbers: of one that is none, all that follows from
    it would be none, and nobody could tell where it came in."""
    faults = []
    for name, (a, shape) in wanted.items():
        if a.shape != shape or a.dtype.kind not in "iuf":
            message = f"expected numbers of the shape {shape}, found {a.dtype} of {a.shape}"
            faults.append(f"{name}: {message}")
        elif not (finite := np.isfinite(a)).all():
            at = tuple(int(i) for i in np.unravel_index(int(finite.argmin()), a.shape))
            faults.append(f"{name}: expected finite numbers, found {a[at]} at {list(at)}")
    if faults:
        raise InputError(*faults)


def _missing(name: str, given: Mapping[str, object]) -> str:
    return f"{name}: missing among params, {', '.join(given) or 'which are empty'}"


def _unknown(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"the cell has {', '.join(known)}"
    return f"{name}: no parameter of this cell; {hint}"
