"""What the attributes of a recurrent ONNX node say of one of its directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gradflow.weights.conventions.activations import sort_out
from gradflow.weights.layers import Traits
from gradflow.weights.readers.onnx import Node

_ORDER = {"rnn": (), "lstm": (0, 2, 3, 1), "gru": (1, 0, 2)}
_USUAL = {"rnn": ["tanh"], "lstm": ["sigmoid", "tanh", "tanh"], "gru": ["sigmoid", "tanh"]}

_CONSTANTS = {  # functions that take an alpha, and a beta, with what they are by default
    "hardsigmoid": (0.2, 0.5),
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
    "elu": (1.0, None),
    "scaledtanh": (1.0, 1.0),
}


def traits(node: Node, cell: str, direction: int) -> Traits:
    """What holds of a direction (0 forward, or the only one) of a node of the kind `cell`."""
    usual = _USUAL[cell]
    listed = list(_functions(node))
    found = listed[direction * len(usual) : (direction + 1) * len(usual)] or usual
    given = {"activation": found[-1]}
    if cell != "rnn":
        given["recurrent_activation"] = found[0]
    options, unable = sort_out(cell, given)
    unsupported = [*unable]
    if cell == "lstm" and len(found) > 2 and found[1] != found[2]:
        unsupported.append(f"activations {found[1]} of the candidate and {found[2]} of the state")
    if cell == "gru":
        options["reset"] = "after" if node.attributes.get("linear_before_reset") else "before"
    if node.attributes.get("clip"):
        unsupported.append("clipping of the pre-activations")
    if node.attributes.get("input_forget"):
        unsupported.append("coupled input and forget gates")
    if len(node.inputs) > 7 and node.inputs[7]:
        unsupported.append("peephole weights")
    return Traits(options, unsupported=tuple(unsupported), order=_ORDER[cell])


def _functions(node: Node) -> Iterator[str]:
    """The activations of a node by gradflow's names, where it has them, of all its directions."""
    alphas = list(_numbers(node.attributes.get("activation_alpha")))
    betas = list(_numbers(node.attributes.get("activation_beta")))
    given = node.attributes.get("activations", [])
    for value in given if isinstance(given, list | tuple) else []:
        name = text(value).lower()
        if name not in _CONSTANTS:
            yield name
            continue
        alpha, beta = _CONSTANTS[name]
        alpha = alphas.pop(0) if alphas else alpha
        if beta is not None:
            beta = betas.pop(0) if betas else beta
        yield _with_constants(name, alpha, beta)


def _with_constants(name: str, alpha: float, beta: float | None) -> str:
    """A function with its constants by gradflow's name."""
    if name == "hardsigmoid" and beta is not None and abs(beta - 0.5) < 1e-6:
        if abs(alpha - 0.2) < 1e-6:
            return "keras2_hard_sigmoid"
        if abs(alpha - 1 / 6) < 1e-6:
            return "hard_sigmoid"
    if (name, alpha, beta) == ("affine", 1.0, 0.0):
        return "linear"
    constants = f" {alpha:g}" + (f" {beta:g}" if beta is not None else "")
    return name + constants


def _numbers(value: Any) -> Sequence[float]:
    return [float(one) for one in value] if isinstance(value, list | tuple) else []


def text(value: Any) -> str:
    """A text of a node's attributes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
