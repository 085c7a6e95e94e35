"""Products in blocks of rows are the products."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.machine import threads
from gradflow.numerics import products
from gradflow.numerics.products import product

SHAPES = [
    (1024, 256, 32),
    (900, 300, 20),
    (257, 256, 32),
    (512, 4096, 8),
    (64, 8, 3),
    (2048, 600, 1),
]


@pytest.fixture(params=[True, False])
def blocks_pay(request, monkeypatch):
    monkeypatch.setattr(products, "_blocks_pay", lambda: request.param)
    products._rows_of_a_block.cache_clear()
    yield request.param
    products._rows_of_a_block.cache_clear()


@pytest.mark.parametrize(("G", "H", "N"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_it_is_what_matmul_gives(blocks_pay, G, H, N, transposed):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((2, H, G)).mT if transposed else rng.standard_normal((2, G, H))
    columns = rng.standard_normal((2, H, N))
    expected = W @ columns
    np.testing.assert_allclose(product(W, columns), expected, rtol=0, atol=1e-11)
    state = np.zeros((2, G + 5, N))  # h is a part of the state
    returned = product(W, columns, out=state[:, :G])
    np.testing.assert_allclose(state[:, :G], expected, rtol=0, atol=1e-11)
    assert np.shares_memory(returned, state)
    assert not state[:, G:].any()


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_any_dtype_and_free_leading_axes(blocks_pay, dtype):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((1, 400, 100)).astype(dtype)
    columns = rng.standard_normal((3, 2, 100, 40)).astype(dtype)
    found = product(W, columns)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, W @ columns, rtol=0, atol=1e-4)


def test_a_run_of_a_stack_has_the_bytes_of_one_alone(blocks_pay):
    rng = np.random.default_rng(0)
    W, columns = rng.standard_normal((3, 1024, 256)), rng.standard_normal((3, 256, 32))
    np.testing.assert_array_equal(product(W, columns)[1:2], product(W[1:2], columns[1:2]))


rows = products._rows_of_a_block.__wrapped__


def test_only_large_products_of_several_columns_are_cut(monkeypatch):
    monkeypatch.setattr(products, "_blocks_pay", lambda: True)
    assert rows(128, 32, 16) == 128  # OpenBLAS has its own code for this
    assert rows(257, 1024, 40) == 257  # a prime has no blocks
    assert rows(1024, 256, 32) == 64
    assert rows(4096, 1024, 32) * 1024 * 32 <= 100**3


@pytest.mark.parametrize("pays", [True, False])
def test_products_that_are_worth_it_have_blocks_for_threads(monkeypatch, pays):
    """Also where nothing but threads can gain by them, and where columns are many."""
    monkeypatch.setattr(products, "_blocks_pay", lambda: pays)
    for shape in ((512, 512, 64), (2048, 512, 96), (512, 2048, 49), (4096, 1024, 128)):
        found = rows(*shape)
        assert 128 <= found <= shape[0] // 4
        assert shape[0] % found == 0
    assert rows(64, 256, 128) == 64


@pytest.mark.parametrize(
    ("kernel", "pays"),
    [("SkylakeX", True), ("Cooperlake", True), ("Haswell", False), ("Zen", False), (None, False)],
)
def test_small_blocks_are_for_kernels_that_copy_nothing(monkeypatch, kernel, pays):
    monkeypatch.setattr(products, "kernel", lambda: kernel)
    assert products._blocks_pay.__wrapped__() == pays


def test_the_quickest_function_gives_what_product_gives(blocks_pay):
    rng = np.random.default_rng(0)
    for G, H, N in SHAPES:
        W, columns = rng.standard_normal((1, G, H)), rng.standard_normal((1, H, N))
        quick = products.product_for([(G, H)], N)
        np.testing.assert_array_equal(quick(W, columns), product(W, columns))


@pytest.mark.parametrize("count", [2, 3])
def test_threads_give_the_same_bytes(blocks_pay, monkeypatch, count):
    monkeypatch.setattr(threads, "_PENANCE", 0)
    monkeypatch.setattr(threads, "idle_cores", lambda: 64)
    rng = np.random.default_rng(0)
    W, columns = rng.standard_normal((2, 1024, 520)), rng.standard_normal((2, 520, 40))
    alone = product(W, columns)
    with threads.sharing(count):
        for _ in range(5):
            np.testing.assert_array_equal(product(W, columns), alone)
