"""A config with thousands of faults: soon refused, the first hundred shown, the others counted."""

from __future__ import annotations

import pytest

from gradflow.config.load import load
from gradflow.errors import InputError
from growth import grows_linearly

CONFIGS = {
    "bad entries": lambda n: f"cell: rnn\nseed: [{', '.join(['x'] * n)}]\n",
    "unknown keys": lambda n: "cell: rnn\n" + "".join(f"hiden_size{i}: 1\n" for i in range(n)),
    "bad cells": lambda n: f"cell: [{', '.join(['lstn'] * n)}]\n",
    "keys that are no option": lambda n: f"cell: {{{', '.join(f'k{i}: 1' for i in range(n))}}}\n",
    "lags beyond the end": lambda n: f"cell: rnn\nlags: {list(range(1000, 1000 + n))}\n",
    "keys given twice": lambda n: "cell: rnn\n" + "seed: 1\n" * (n + 1),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_many_faults_take_time_in_proportion(tmp_path, name):
    def make(n):
        path = tmp_path / f"{n}.yaml"
        path.write_text(CONFIGS[name](n), encoding="utf-8")
        return lambda: load(path)

    with pytest.raises(InputError):
        make(1)()  # the cells are read once, for hints
    grows_linearly(make, 2000)


@pytest.mark.parametrize(
    "name", ["bad entries", "unknown keys", "lags beyond the end", "keys given twice"]
)
def test_the_first_hundred_are_shown_and_the_others_counted(tmp_path, name):
    path = tmp_path / "c.yaml"
    path.write_text(CONFIGS[name](1234), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(path)
    faults = caught.value.faults
    assert len(faults) == 101
    assert faults[-1].message == "… and 1,134 more"
    places = [(fault.line, fault.column) for fault in faults[:-1]]
    assert places == sorted(places)


def test_many_columns_of_a_csv(tmp_path):
    def make(n):
        names = [f"c{i}" for i in range(n)]
        row = ",".join(["1"] * n)
        (tmp_path / f"{n}.csv").write_text(f"{','.join(names)}\n{row}\n{row}\n", encoding="utf-8")
        path = tmp_path / f"{n}.yaml"
        columns = ", ".join(names)
        path.write_text(
            f"cell: rnn\nhidden_size: 2\ninput: {{file: {n}.csv, columns: [{columns}]}}\n",
            encoding="utf-8",
        )
        return lambda: load(path)

    grows_linearly(make, 4000)


SIZES = (
    *("sequence_length", "hidden_size", "layers", "input_size", "output_size", "batch_size"),
    *("ws_scale", "wx_scale", "bias_scale", "seed", "tape_memory"),
)


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("size", ["1e200", "-1e200", "1e20", "9" * 300])
def test_a_number_of_any_size_is_refused_with_its_place(tmp_path, key, size):
    path = tmp_path / "c.yaml"
    path.write_text(f"cell: rnn\n{key}: {size}\n", encoding="utf-8")
    try:
        load(path)
    except InputError as error:
        [fault] = error.faults
        assert (fault.line, fault.key) == (2, key)
        assert len(str(fault)) < 500


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("cell: {type: lstmp, proj_size: 1e200}", "cell.proj_size"),
        ("cell: {type: lstm, forget_bias: 1e200}", "cell.forget_bias"),
        ("lags: [1e200]", "lags[0]"),
        ("input: {file: x.csv, window: 1e200}", "input.window"),
        ("input: {file: x.csv, columns: [1e200]}", "input.columns[0]"),
        ("input: {kind: gaussian, scale: 1e200}", "input.scale"),
        ("loss: {kind: mse, target: 1e200}", "loss.target"),
        ("thresholds: {exploding: 1e305}", "thresholds.exploding"),
        ("weights: {file: net.pt, layer: 1e200}", "weights.layer"),
    ],
)
def test_numbers_within_mappings_too(tmp_path, line, key):
    path = tmp_path / "c.yaml"
    path.write_text(f"{line}\n" if line.startswith("cell") else f"cell: rnn\n{line}\n")
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.faults[0].key == key


@pytest.mark.parametrize("layers", ["3e6", "1e9", "1e15"])
def test_layers_are_counted_and_not_listed(tmp_path, layers):
    import tracemalloc

    path = tmp_path / "c.yaml"
    path.write_text(f"cell: rnn\nlayers: {layers}\n", encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(InputError, match=r"layers: this would take .* bytes"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
