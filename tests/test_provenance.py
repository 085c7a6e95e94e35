from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from gradflow.machine import blas
from gradflow.provenance import provenance


def loaded(filepath, name):
    """What threadpoolctl tells of a library that is loaded."""
    return {
        "user_api": "blas",
        "internal_api": name,
        "filepath": filepath,
        "version": "1.2",
        "architecture": "Zen",
    }


def test_the_hash_is_of_what_the_config_says_and_of_nothing_else():
    one, other = provenance({"cell": "rnn", "seed": 0}), provenance({"seed": 0, "cell": "rnn"})
    assert one == other
    assert provenance({"cell": "rnn", "seed": 1})["config_sha256"] != one["config_sha256"]


def test_the_blas_is_numpys_own_among_several(monkeypatch):
    home = Path(np.__file__).parent
    several = [
        loaded("/a/torch/libmkl.so", "mkl"),
        loaded(f"{home}.libs/libopenblas.so", "openblas"),
        {**loaded(str(home / "libgomp.so"), "openmp"), "user_api": "openmp"},
    ]
    for shown in (several, several[::-1]):
        monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda shown=shown: shown)
        assert blas.library() == {"name": "openblas", "version": "1.2", "kernel": "Zen"}
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: several[:1])
    assert blas.library()["name"] == "mkl"


def test_a_blas_that_cannot_be_asked_is_the_one_that_numpy_was_built_with(monkeypatch):
    monkeypatch.setattr(threadpoolctl, "threadpool_info", list)
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = blas.library()
    assert (found["name"], found["version"]) == (built["name"], built["version"])
    assert found["kernel"] is None


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_number_of_threads_is_no_part_of_it(threads, monkeypatch):
    before = provenance({})
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
    assert provenance({}) == before
