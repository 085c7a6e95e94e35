"""Recurrent layers whose names follow no convention: guessed from how names end and shapes fit.

A guess is never acted on by itself; `gradflow inspect` prints it for the user to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from gradflow.weights.tensors import Stored, Tensors

_SIDES = (
    *(("hh", "ih"), ("hh", "xh"), ("hh", "hi"), ("hh", "hx"), ("h2h", "i2h"), ("h2h", "x2h")),
    *(("recurrent", "input"), ("hidden", "input"), ("state", "input"), ("rec", "in")),
    *(("recurrent", "kernel"), ("recurrent", "weight"), ("wh", "wx"), ("wh", "wi"), ("wr", "wx")),
    *(("lh", "lx"), ("h", "x"), ("h", "i"), ("s", "x"), ("u", "w"), ("r", "w")),
)
"""How names of recurrent weights differ from those of the input."""

_STRONG = 14
"""So many of them are sure enough for a cell of one gate, where shapes say little."""

_BIASES = (
    *(("weights", "biases"), ("weight", "bias"), ("kernel", "bias")),
    *(("w", "b"), ("u", "b"), ("r", "b")),
)

_MOST = 20
_MOST_LOOKED_AT = 2000
_MOST_TOKENS = 40

Tokens = tuple[str, ...]


def guess(tensors: Tensors) -> list[dict[str, str]]:
    """By parameter (`W_x`, `W_s`, `b_x`, `b_s`) the tensors that may well make a layer; at most 20
    such layers."""
    return list(islice(_guesses(tensors.stored), _MOST))


def _guesses(stored: Mapping[str, Stored]) -> Iterator[dict[str, str]]:
    by_tokens: dict[Tokens, str] = {}
    for name, one in stored.items():
        if one.dtype.removeprefix("b").startswith("float") and len(one.shape) in (1, 2):
            tokens = _tokens(name)
            if len(tokens) <= _MOST_TOKENS:
                by_tokens.setdefault(tokens, name)
    able = ((t, name) for t, name in by_tokens.items() if _gates(stored[name].shape))
    for tokens, name in islice(able, _MOST_LOOKED_AT):
        shape = stored[name].shape
        gates = _gates(shape)
        for other, at in _others(tokens, gates):
            found = by_tokens.get(other)
            if found is not None and found != name and _fit(stored[found].shape, shape, gates):
                rows = max(shape)
                biases = {t: n for t, n in by_tokens.items() if stored[n].shape == (rows,)}
                yield {"W_x": found, "W_s": name, **_biases(other, tokens, at, biases)}
                break


def _tokens(name: str) -> Tokens:
    return tuple(re.split(r"[^a-z0-9]+", name.lower()))


def _gates(shape: tuple[int, ...]) -> int:
    """The number of gates in recurrent weights (kH, H), or for several (H, kH); 0 for none."""
    if len(shape) != 2 or not min(shape) or max(shape) % min(shape):
        return 0
    gates = max(shape) // min(shape)
    return gates if gates in (1, 3, 4) else 0


def _fit(inputs: tuple[int, ...], recurrent: tuple[int, ...], gates: int) -> bool:
    """Whether input weights have the rows of the recurrent ones, and lie as they do."""
    axis = 0 if gates == 1 or recurrent[0] > recurrent[1] else 1
    return len(inputs) == 2 and inputs[axis] == recurrent[axis] and min(inputs) > 0


def _others(tokens: Tokens, gates: int) -> Iterator[tuple[Tokens, int]]:
    """What the input weights may be called, and the token that differs."""
    for recurrent, inputs in _SIDES if gates > 1 else _SIDES[:_STRONG]:
        for at, token in enumerate(tokens):
            if recurrent in token:
                first, last = token.replace(recurrent, inputs, 1), _last(token, recurrent, inputs)
                for new in dict.fromkeys((first, last)):
                    yield (*tokens[:at], new, *tokens[at + 1 :]), at
                if token == recurrent:  # `recurrent_weight` next to `weight`
                    yield (*tokens[:at], *tokens[at + 1 :]), at


def _last(token: str, old: str, new: str) -> str:
    """The token with the last `old` in it replaced."""
    head, _, tail = token.rpartition(old)
    return head + new + tail


def _biases(
    inputs: Tokens, recurrent: Tokens, at: int, vectors: Mapping[Tokens, str]
) -> dict[str, str]:
    """The biases among vectors of the right length: one for each side, or one for both."""
    found: dict[str, str] = {}
    for parameter, tokens in (("b_x", inputs), ("b_s", recurrent)):
        name = next((vectors[t] for t in _bias_names(tokens) if t in vectors), None)
        if name is not None and name not in found.values():
            found[parameter] = name
    common = recurrent[:at], recurrent[at + 1 :]
    alone = ((*common[0], *word, *common[1]) for word in ((), ("b",), ("bias",)))
    single = next((vectors[t] for t in alone if t in vectors), None)
    return found or ({"b_x": single} if single else {})


def _bias_names(tokens: Tokens) -> Iterator[Tokens]:
    for weight, bias in _BIASES:
        for at, token in enumerate(tokens):
            if weight in token:
                yield (*tokens[:at], token.replace(weight, bias, 1), *tokens[at + 1 :])
