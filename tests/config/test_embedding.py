"""`input: {file: tokens, embedding: TENSOR}`: whole numbers looked up in a tensor."""

from __future__ import annotations

import numpy as np
import pytest

import gradflow
from gradflow.config.load import load
from gradflow.runs.sampling import inputs

V, I, H = 7, 3, 4  # noqa: E741


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "rnn.weight_ih_l0": rng.standard_normal((4 * H, I)),
        "rnn.weight_hh_l0": rng.standard_normal((4 * H, H)),
        "emb.weight": rng.standard_normal((V, I)).astype("f4"),
        "wide": np.ones((V, I + 1)),
        "deep": np.ones((V, I, 1)),
        "holes": np.full((V, I), np.nan),
        "counts": np.ones((V, I), dtype=np.int64),
    }
    np.savez(tmp_path / "net.npz", **arrays)
    return tmp_path, arrays["emb.weight"]


def config(folder, tokens, more="", embedding="emb.weight", name="tokens.npy"):
    if name.endswith(".npy"):
        np.save(folder / name, tokens)
    else:
        (folder / name).write_text(tokens)
    path = folder / "config.yaml"
    path.write_text(f"weights: net.npz\ninput: {{file: {name}, embedding: {embedding}{more}}}\n")
    return path


def fault(*args, **kwargs):
    with pytest.raises(gradflow.InputError) as caught:
        load(config(*args, **kwargs))
    (only,) = caught.value.faults
    return str(only)


def x_of(path):
    (run,) = load(path).runs
    assert all(c.holds for c in gradflow.verify(run).comparisons)
    return inputs(run)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
@pytest.mark.parametrize("shape", [(5,), (5, 2)])
def test_each_number_becomes_its_row(folder, shape, dtype):
    path, table = folder
    tokens = np.random.default_rng(1).integers(0, V, shape).astype(dtype)
    expected = table[tokens.astype(int)].reshape(5, -1, I)
    np.testing.assert_array_equal(x_of(config(path, tokens)), expected)


def test_a_csv_has_a_step_a_row_and_a_sample_a_column(folder):
    path, table = folder
    found = x_of(config(path, "a,b\n1,2\n0,6\n5,5\n", name="tokens.csv"))
    np.testing.assert_array_equal(found, table[[[1, 2], [0, 6], [5, 5]]])


def test_a_text_is_cut_into_windows(folder):
    path, table = folder
    tokens = np.arange(V)
    found = x_of(config(path, tokens, ", window: 3, stride: 2"))
    np.testing.assert_array_equal(found, table[np.array([[0, 1, 2], [2, 3, 4], [4, 5, 6]]).T])
    message = fault(path, np.zeros((4, 2)), ", window: 2")
    assert "window needs (T) whole numbers, found (T, N)" in message


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([1, 2, 7]), "found 7 in row 2, column 0, both counted from 0"),
        (
            np.array([[1, -1], [2, 9]]),
            "found -1 in row 0, column 1, both counted from 0, and 1 more",
        ),
        (np.array([1, 2.5]), "found 2.5 in row 1, column 0"),
        (np.array([1e300]), "found 1e+300 in row 0"),
        (np.zeros((2, 2, 2)), "expected whole numbers of shape (T) or (T, N), found (2, 2, 2)"),
    ],
)
def test_numbers_without_a_row_are_named_with_their_place(folder, tokens, message):
    found = fault(folder[0], tokens)
    assert message in found
    assert "tokens.npy" in found
    if tokens.ndim < 3:
        assert "expected whole numbers from 0 to 6, the rows of emb.weight" in found


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ("emb.weigth", "no tensor is called 'emb.weigth'; did you mean 'emb.weight'?"),
        ("wide", "expected 3 columns, which net.npz takes; the embedding wide has 4"),
        ("deep", "tensor 'deep': expected an embedding of shape (V, I), found (7, 3, 1)"),
        ("holes", "tensor 'holes' holds nan at [0, 0]: expected finite numbers"),
        ("counts", "tensor 'counts': expected floating-point numbers, found int64"),
    ],
)
def test_a_tensor_that_is_no_embedding_of_the_net_is_named(folder, embedding, message):
    assert message in fault(folder[0], np.zeros(3), embedding=embedding)


def test_an_embedding_needs_weights_and_takes_no_other_scale(folder):
    path, _ = folder
    assert "standardize has no meaning with embedding" in fault(
        path, np.zeros(3), ", standardize: true"
    )
    (path / "config.yaml").write_text("cell: rnn\ninput: {file: tokens.npy, embedding: emb}\n")
    with pytest.raises(gradflow.InputError, match="an embedding is a tensor of the `weights` file"):
        load(path / "config.yaml")
