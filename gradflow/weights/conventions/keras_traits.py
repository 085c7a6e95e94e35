"""What is known of a Keras cell besides its numbers: from its configuration, else from the version.

The gates were hard sigmoids by default before Keras 2.3, and a hard sigmoid was 0.2 x + 0.5 before
Keras 3, x / 6 + 0.5 since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gradflow.weights.conventions.activations import options_of, sort_out
from gradflow.weights.conventions.keras_config import Half
from gradflow.weights.layers import USUAL, Traits

_GRU_ORDER = (1, 0, 2)


def traits(
    half: Half | None,
    version: str | None,
    reset: str | None,
    cudnn: bool,
    notes: tuple[str, ...] = (),
    unsupported: tuple[str, ...] = (),
) -> dict[str, Traits]:
    """What holds of each cell that a layer may turn out to be.

    `half` is its configuration, if there is one; `version` the Keras that wrote the file; `reset`
    how a GRU resets, if the file says so; `cudnn` whether it has the layout of cuDNN, which has
    the usual activations only.
    """
    if half is not None and half.cell is None:
        kind = half.kind[:60]
        notes = (*notes, f"the class {kind} is not one of Keras's own: taken for one by its name")
    found = {}
    for cell in ("rnn", "lstm", "gru"):
        given, unable = _activations(cell, half, version, cudnn)
        missing = [
            option
            for option in options_of(cell)
            if option not in given and not any(one.startswith(f"{option} ") for one in unable)
        ]
        likely, remark = _defaults(version, [*missing], half)
        if cell == "gru":
            missing += [] if reset else ["reset"]
            given |= {"reset": reset} if reset else {}
            likely["reset"] = "before" if _before_2_3(version) else "after"
        found[cell] = Traits(
            given,
            tuple(missing),
            {option: likely[option] for option in missing},
            (*unsupported, *unable),
            (*notes, *([remark] if remark else [])),
            _GRU_ORDER if cell == "gru" else (),
        )
    return found


def _activations(
    cell: str, half: Half | None, version: str | None, cudnn: bool
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The activations that the configuration has, and what is not among gradflow's."""
    if cudnn or (half is not None and half.kind.startswith("CuDNN")):
        return {option: USUAL[option] for option in options_of(cell)}, ()
    if half is None:
        return {}, ()
    names = _names(cell, half)
    if names.get("recurrent_activation") == "hard_sigmoid":
        major = _numbers(version)[:1]
        if not major:
            del names["recurrent_activation"]  # one of two, and the file does not say which
        elif major < (3,):
            names["recurrent_activation"] = "keras2_hard_sigmoid"
    return sort_out(cell, names)


def _names(cell: str, half: Half) -> dict[str, str]:
    """The activations by option, as the configuration calls them."""
    config = dict(half.config)
    if "inner_activation" in config:  # Keras 1 has another name for the same
        config.setdefault("recurrent_activation", config["inner_activation"])
    return {o: _activation(config[o]) for o in options_of(cell) if o in config}


def _activation(value: Any) -> str:
    """The name of an activation; Keras 3 has a mapping where it is no name."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return "linear" if value is None else str(value)


def _defaults(
    version: str | None, missing: list[str], half: Half | None
) -> tuple[dict[str, str], str | None]:
    """By option what is missing was by default, and the words that say so."""
    likely = dict(USUAL)
    if not missing:
        return likely, None
    if half is not None and _names("lstm", half).get("recurrent_activation") == "hard_sigmoid":
        likely["recurrent_activation"] = "hard_sigmoid"
        return likely, (
            "the recurrent_activation is Keras's hard_sigmoid, and the file does not say whether"
            " it is of Keras 3 (hard_sigmoid here) or before (keras2_hard_sigmoid)"
        )
    listed = " and the ".join(missing)
    remark = f"the file does not give the {listed}"
    if "recurrent_activation" not in missing:
        return likely, remark
    if _before_2_3(version):
        likely["recurrent_activation"] = "keras2_hard_sigmoid"
        said = f"keras2_hard_sigmoid was the gates' default in Keras {version}"
        if version == "2.2.4-tf":
            said += " with TensorFlow 1, sigmoid with TensorFlow 2"
    elif version:
        said = f"sigmoid was the gates' default in Keras {version}"
    else:
        said = "sigmoid was the gates' default from Keras 2.3 on, keras2_hard_sigmoid before"
    return likely, f"{remark}: {said}"


def _before_2_3(version: str | None) -> bool:
    return bool(_numbers(version)) and _numbers(version) < (2, 3)


def _numbers(version: str | None) -> tuple[int, ...]:
    """`2.2.4-tf` as (2, 2, 4); empty if there is no version."""
    found = re.match(r"\d{1,6}(?:\.\d{1,6})*", version or "")
    return tuple(map(int, found[0].split("."))) if found else ()
