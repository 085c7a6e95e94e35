"""What an unknown key was meant to be: the letters of papers, the names of PyTorch and Keras, keys
that belong somewhere else in a config, options of cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gradflow.cells import CELLS
from gradflow.config.model import MODELS, Config
from gradflow.config.tree import Tree

_KEYS = {
    "T": "sequence_length",
    "seq_len": "sequence_length",
    "seq_length": "sequence_length",
    "t": "sequence_length",
    "steps": "sequence_length",
    "timesteps": "sequence_length",
    "time_steps": "sequence_length",
    "H": "hidden_size",
    "units": "hidden_size",
    "num_units": "hidden_size",
    "hidden_dim": "hidden_size",
    "d_model": "hidden_size",
    "length": "sequence_length",
    "n_steps": "sequence_length",
    "num_steps": "sequence_length",
    "n_units": "hidden_size",
    "hidden": "hidden_size",
    "num_features": "input_size",
    "bidir": "bidirectional",
    "kernel_init": "wx_init",
    "recurrent_init": "ws_init",
    "features": "hidden_size or input_size",
    "vocab_size": "input_size or output_size",
    "I": "input_size",
    "input_dim": "input_size",
    "N": "batch_size",
    "B": "batch_size",
    "O": "output_size",
    "L": "layers",
    "num_layers": "layers",
    "kernel_initializer": "wx_init",
    "recurrent_initializer": "ws_init",
    "W_s": "ws_scale or ws_init",
    "W_x": "wx_scale or wx_init",
    "random_seed": "seed",
    "gain": "ws_scale",
    "model": "cell",
    "rnn_type": "cell",
    "cell_type": "cell",
}
"""By what others call it, the key of a config."""

_VALUES = {
    "simplernn": "rnn",
    "vanilla_rnn": "rnn",
    "vanilla": "rnn",
    "elman": "rnn",
    "mamba": "s6",
    "eye": "identity",
    "normal": "gaussian",
    "randn": "gaussian",
    "lecun_normal": "gaussian",
    "glorot_normal": "gaussian",
    "xavier_normal": "gaussian",
    "xavier": "glorot",
    "glorot_uniform": "glorot",
    "xavier_uniform": "glorot",
    "he": "gaussian with a scale of 1.414",
    "he_normal": "gaussian with a scale of 1.414",
    "kaiming": "gaussian with a scale of 1.414",
    "kaiming_normal": "gaussian with a scale of 1.414",
    "he_uniform": "uniform with a scale of 2.449",
    "kaiming_uniform": "uniform with a scale of 2.449",
    "double": "float64",
    "single": "float32",
    "ce": "cross_entropy",
}
"""By what others call it, in small letters, the name that a key may have as its value."""

_ADVICE = {
    "batch_first": "arrays are (T, N, I), as without it: leave it out",
    "time_major": "arrays are (T, N, I), as with it: leave it out",
    "proj_size": "write `cell: {type: lstmp, proj_size: ...}`",
    "return_sequences": "a loss that reads every step is `loss: {kind: mse, at: all}`",
    "return_state": "the loss `probe` reads the whole last state: `loss: probe`",
    "go_backwards": "a net that runs both ways is `bidirectional: true`",
    "stateful": "s_0 is `initial_state`",
    "nonlinearity": "write `cell: {type: rnn, activation: ...}`",
    "unit_forget_bias": "write `cell: {type: lstm, forget_bias: 1.0}`",
    "reset_after": "write `cell: {type: gru, reset: after}`, or before",
    "dropout": "nothing is dropped here: leave it out",
    "recurrent_dropout": "nothing is dropped here: leave it out",
    "unroll": "a net always runs step by step: leave it out",
    "implementation": "there is one: leave it out",
    **dict.fromkeys(
        (
            "kernel_regularizer",
            "recurrent_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "recurrent_constraint",
            "bias_constraint",
        ),
        "nothing is trained here: leave it out",
    ),
    "bias": "a net without biases is `bias_scale: 0`, the default",
    "use_bias": "a net without biases is `bias_scale: 0`, the default",
    "device": "everything runs on the CPU: leave it out",
}
"""By what others call it, how it is said here."""

_UNDER = {
    "(file)": "input",
    "(init)": "ws_init",
    "loss": "loss",
    "weights": "weights",
    "thresholds": "thresholds",
}


def called(name: str, known: Collection[str]) -> str | None:
    """Which of the known names is called so elsewhere."""
    own = _VALUES.get(name.lower())
    return own if own is not None and own.partition(" ")[0] in known else None


def hint(name: str, data: Tree = None) -> str | None:
    """What to write in place of an unknown key at the top of a config; None where nobody knows."""
    if name in _KEYS:
        return f"unknown key; did you mean {_KEYS[name]}?"
    holders = [cell for cell in CELLS if name in CELLS[cell].equations.defaults]
    if holders and name not in _ADVICE:
        kinds = _kinds(data)
        cell = next((kind for kind in kinds if kind in holders), holders[0])
        return f"an option of a cell: write `cell: {{type: {cell}, {name}: ...}}`"
    if name in _ADVICE:
        return f"unknown key; {_ADVICE[name]}"
    for model, key in _UNDER.items():
        if name in MODELS[model].model_fields and name not in ("file", "kind"):
            return f"belongs under `{key}`: write `{key}: {{..., {name}: ...}}`"
    return None


def hint_in_cell(name: str, known: Sequence[str]) -> str | None:
    """The same of a key of a cell."""
    if name in Config.model_fields:
        return f"a key of the config itself: write `{name}:` next to `cell`"
    if name in _KEYS:
        return f"unknown key; did you mean {_KEYS[name]}, next to `cell`?"
    if name == "nonlinearity" and "activation" in known:
        return "unknown key; did you mean activation?"
    return f"unknown key; {_ADVICE[name]}" if name in _ADVICE else None


def _kinds(data: Tree) -> list[str]:
    """The names of a config's cells."""
    given = data.get("cell") if isinstance(data, Mapping) else None
    items = given if isinstance(given, list) else [given]
    kinds = [item.get("type") if isinstance(item, Mapping) else item for item in items[:100]]
    return [kind for kind in kinds if isinstance(kind, str)]
