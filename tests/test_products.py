"""Products in blocks of rows are the products."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow import products
from gradflow.products import product

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


def test_only_large_products_of_several_columns_are_cut(monkeypatch):
    monkeypatch.setattr(products, "_blocks_pay", lambda: True)
    rows = products._rows_of_a_block.__wrapped__
    assert rows(128, 32, 16) == 128  # OpenBLAS has its own code for this
    assert rows(257, 1024, 40) == 257  # a prime has no blocks
    assert rows(1024, 256, 32) == 64
    assert rows(1024, 256, 64) == 1024  # many columns: whole is faster
    assert rows(4096, 1024, 32) * 1024 * 32 <= 100**3


@pytest.mark.parametrize(("value", "pays"), [("1", True), ("2", False), (None, False)])
def test_blocks_are_for_one_thread(monkeypatch, value, pays):
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if value:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", value)
    monkeypatch.setattr(products, "opt_func_info", lambda **_: {"exp": {"dd": "X86_V4"}})
    monkeypatch.setattr(products.os, "cpu_count", lambda: 4)
    assert products._blocks_pay() == pays
    monkeypatch.setattr(products, "opt_func_info", lambda **_: {"exp": {"dd": "X86_V3"}})
    assert not products._blocks_pay()
