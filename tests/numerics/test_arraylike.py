"""Magnitudes act as arrays of floats wherever a user puts them."""

from __future__ import annotations

import copy
import json
import math
import pickle
import statistics
from decimal import Decimal

import numpy as np
import pytest

from gradflow.numerics.magnitudes import Magnitudes

INSIDE = np.array([0.0, 1e-300, 0.25, 1.0, 3e200])
BEYOND = Magnitudes.of(np.array([0.75, 0.5, 0.0]), np.array([-2000, 3000, 0]))


@pytest.fixture
def curve():
    return Magnitudes.of(INSIDE)


def test_numpy_takes_them_for_floats(curve):
    np.testing.assert_array_equal(np.asarray(curve), INSIDE)
    small = curve[2:4]
    np.testing.assert_array_equal(np.asarray(small, np.float32), np.float32([0.25, 1]))
    np.testing.assert_array_equal(np.concatenate([curve, curve]), np.r_[INSIDE, INSIDE])
    assert curve.ndim == 1
    assert curve.size == 5
    assert curve.dtype == np.float64
    assert curve.tolist() == INSIDE.tolist()
    assert [float(x) for x in curve] == INSIDE.tolist()
    with pytest.raises(ValueError, match="copy"):
        np.asarray(curve, copy=False)


@pytest.mark.parametrize(
    "of",
    [
        lambda a: a + 1, lambda a: 1 - a, lambda a: a - a[::-1], lambda a: a**2, lambda a: -a,
        lambda a: a < 0.5, lambda a: a == 1.0, lambda a: a * np.arange(5), lambda a: 2 * a,
        lambda a: a / 4, lambda a: np.maximum(a, 0.5), lambda a: np.isfinite(a), np.max, np.sum,
        np.mean, np.median, np.argmax, np.cumsum, np.diff, lambda a: np.interp(2.5, range(5), a),
        lambda a: np.where(a > 0.1, a, 0), lambda a: np.allclose(a, a),
        lambda a: np.polyfit(range(5), a, 1), lambda a: a * 0, lambda a: a * -1, lambda a: a / a[3],
    ],
)  # fmt: skip
def test_arithmetic_is_that_of_floats(curve, of):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(np.asarray(of(curve)), np.asarray(of(INSIDE)))


@pytest.mark.parametrize(
    "of",
    [
        lambda a: a.max(), lambda a: a.mean(), lambda a: a.sum(axis=0), lambda a: a.argmin(),
        lambda a: a[:4].astype(np.float32), lambda a: a.T, lambda a: a.cumsum(),
        lambda a: a.copy(), lambda a: a.any(), lambda a: round(a[2], 1), lambda a: bool(a[0]),
        lambda a: a.round(1),
        lambda a: [float(x) for x in a], lambda a: float(max(a)), lambda a: 0.25 in a,
        lambda a: [float(x) for x in reversed(a)],
    ],
)  # fmt: skip
def test_methods_and_loops_are_those_of_an_array_of_floats(curve, of):
    np.testing.assert_array_equal(np.asarray(of(curve)), np.asarray(of(INSIDE)))


@pytest.mark.parametrize(
    "name", ["sort", "fill", "resize", "put", "maxx", "_private", "__array_interface__"]
)
def test_what_would_change_a_copy_is_not_offered(curve, name):
    with pytest.raises(AttributeError, match=f"'Magnitudes' object has no attribute '{name}'"):
        getattr(curve, name)


def test_a_single_one_is_no_sequence(curve):
    with pytest.raises(TypeError):
        list(curve[2])
    assert pickle.loads(pickle.dumps(curve)).tolist() == INSIDE.tolist()
    assert copy.deepcopy(curve)[2] == 0.25


def test_data_frames_take_them_for_columns(curve):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars", "1.10")  # those before take no arrays of others
    for frame in (pandas.DataFrame({"g": curve}), polars.DataFrame({"g": curve})):
        assert frame["g"].to_numpy().tolist() == INSIDE.tolist()
        assert frame["g"].dtype in (np.float64, polars.Float64)
    assert pandas.Series(curve, name="g").max() == polars.Series("g", curve).max() == 3e200
    xarray = pytest.importorskip("xarray")
    assert xarray.DataArray(curve, dims="lag").sel(lag=2).item() == 0.25
    assert xarray.Dataset({"g": ("lag", curve)}).g.dtype == np.float64


def test_logarithms_and_products_are_right_at_any_size():
    expected = np.array([np.log10(0.75) - 2000 * np.log10(2), np.log10(0.5) + 3000 * np.log10(2)])
    np.testing.assert_allclose(np.log10(BEYOND)[:2], expected, rtol=1e-14)
    np.testing.assert_allclose(np.log(BEYOND)[:2], expected * np.log(10), rtol=1e-14)
    np.testing.assert_allclose(np.log2(BEYOND)[:2], expected / np.log10(2), rtol=1e-14)
    assert np.log10(BEYOND)[2] == -np.inf
    for doubled in (2 * BEYOND, BEYOND * 2.0, BEYOND / 0.5, np.float64(2) * BEYOND):
        assert isinstance(doubled, Magnitudes)
        np.testing.assert_array_equal(doubled[:2].exponent, BEYOND[:2].exponent + 1)
    np.testing.assert_allclose(np.log10(np.sqrt(BEYOND))[:2], expected / 2, rtol=1e-14)
    np.testing.assert_allclose((BEYOND * BEYOND)[:2].log10(), 2 * expected, rtol=1e-14)
    np.testing.assert_array_equal((BEYOND / BEYOND[0])[:1].floats(), [1.0])


def test_text():
    assert f"{BEYOND[0]:.3e}" == "6.532e-603"
    assert f"{BEYOND[0]}".startswith("6.53")
    assert f"{BEYOND[2]:.2f}" == "0.00"
    assert f"{Magnitudes.of(np.float64(0.25)):>8.3f}" == "   0.250"
    assert repr(BEYOND) == "Magnitudes([6.532e-603, 6.151e+902, 0])"
    long = Magnitudes.of(np.linspace(0, 1, 101))
    assert repr(long) == "Magnitudes([0, 0.01, 0.02, ..., 0.98, 0.99, 1], shape (101,))"
    assert len(f"{long}") < 80


def test_results_may_not_be_put_into_them(curve):
    with pytest.raises(TypeError):
        np.add(INSIDE, 1, out=(curve,))


def test_one_of_plain_numbers_is_as_good():
    """As what comes back from a journal is made of."""
    plain = Magnitudes(0.75, -2000)
    assert plain.reshape(1).texts() == BEYOND[:1].texts()
    assert f"{plain:.3e}" == "6.532e-603"
    assert float(plain) == 0.0
    assert plain.max() == BEYOND[0]
    assert plain.max() > 0


ALL_SIZES = Magnitudes.of(np.array([0.5, 0.75, 0.75, 0, 0.5]), np.array([-6000, 4000, -6000, 0, 1]))
"""In the order 3, 0, 2, 4, 1."""


def test_comparisons_are_right_at_any_size():
    tiny, huge, larger, zero, one = ALL_SIZES
    assert zero < tiny < larger < one < huge
    assert tiny != larger
    assert tiny == ALL_SIZES[0]
    assert tiny > 0.0
    assert huge < math.inf
    assert tiny > -1.0
    assert bool(tiny)
    assert not zero
    assert (ALL_SIZES > 0.0).tolist() == [True, True, True, False, True]
    assert (ALL_SIZES[::-1] == ALL_SIZES).tolist() == [False, False, True, False, False]
    assert (np.array([1, 1, 0, 1, np.nan]) > ALL_SIZES).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_order_and_extremes_are_right_at_any_size():
    order = [3, 0, 2, 4, 1]
    assert ALL_SIZES.argsort().tolist() == order
    assert sorted(ALL_SIZES) == [ALL_SIZES[i] for i in order]
    assert np.max(ALL_SIZES) == max(ALL_SIZES) == ALL_SIZES[1]
    assert ALL_SIZES[:3].min() == np.min(ALL_SIZES[:3]) == min(ALL_SIZES[:3]) == ALL_SIZES[0]
    assert (np.argmin(ALL_SIZES[:3]), ALL_SIZES.argmax()) == (0, 1)
    assert np.maximum(ALL_SIZES[0], ALL_SIZES[2]) == ALL_SIZES[2]
    assert np.minimum(ALL_SIZES, 0.0).tolist() == [0.0] * 5
    grid = ALL_SIZES[[0, 2]].reshape(1, 2)
    assert grid.argmax(axis=1).tolist() == [1]
    assert math.isnan(Magnitudes.of(np.array([1.0, np.nan])).max())


@pytest.mark.parametrize(
    ("of", "log2"),
    [
        (lambda a: a**2, -12000), (lambda a: a**0.5, -3000), (lambda a: a**-1, 6000),
        (lambda a: a**0.1, -600), (abs, -6000), (lambda a: +a, -6000), (lambda a: a + a, -5999),
        (lambda a: a + 0, -6000), (lambda a: a.T, -6000), (lambda a: a.copy(), -6000),
        (lambda a: a * np.array([4.0]), -5998), (lambda a: np.array([1.0]) / a, 6000),
        (np.square, -12000), (lambda a: a.repeat(2)[:1], -6000),
        (lambda a: a.ravel(), -6000),
    ],
)  # fmt: skip
def test_powers_sums_and_layouts_stay_right_at_any_size(of, log2):
    small = Magnitudes.of(np.ones(1), -6000)
    assert isinstance(of(small), Magnitudes)
    np.testing.assert_allclose(np.log2(of(small)), [log2], rtol=1e-15)
    np.testing.assert_allclose(np.log2(of(small[0])), log2, rtol=1e-15)


def test_a_single_one_is_a_float_that_keeps_its_digits(curve):
    small, quarter = BEYOND[0], curve[2]
    assert isinstance(small, float)
    assert isinstance(small, Magnitudes)
    assert str(small) == "6.5323573621629125e-603"
    assert Decimal(str(small)) > 0
    assert json.dumps(quarter) == str(quarter) == "0.25"
    assert statistics.mean(list(curve[2:4])) == 0.625
    assert (int(quarter), len({quarter, 0.25}), len({small, 0.0, BEYOND[0]})) == (0, 1, 2)
    assert pickle.loads(pickle.dumps(small)) == copy.deepcopy(small) == small


def test_other_packages_take_a_single_one_for_a_number(curve):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame([{"g": item} for item in curve])
    assert frame.g.dtype == np.float64
    assert frame.to_csv(index=False).splitlines()[2] == "1e-300"
    assert polars.Series([curve[2]]).to_list() == [0.25]
    torch = pytest.importorskip("torch")
    assert torch.tensor(curve[2:4]).tolist() == torch.as_tensor(curve[2:4]).tolist() == [0.25, 1.0]
