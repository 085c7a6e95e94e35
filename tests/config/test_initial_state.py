"""`initial_state: {file: s0.npz}`: an array for each part of the state by its name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import gradflow
from command import main
from gradflow.config.load import load
from gradflow.runs.sampling import initial_state

SMALL = "sequence_length: 5\nhidden_size: 4\ninput_size: 2\n"
MATRIX = """\
cell:
  type: equations
  name: matrix
  state: {h: H, M: [H, 2], g: 1}
  gauge: {g: [M]}
  parameters: {W: [H, I], k: 2, v: H}
  step: |
    g[t] = g[t-1] + 1
    M[t] = exp(g[t-1] - g[t]) * M[t-1] + exp(-g[t]) * outer(v * h[t-1], k)
    h[t] = tanh(W @ x[t] + exp(g[t]) * (M[t] @ k))
"""


def arrays(**shapes):
    rng = np.random.default_rng(1)
    found = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    np.savez("s0.npz", **found)
    return found


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def runs(text):
    with open("c.yaml", "w", encoding="utf-8") as file:
        file.write(f"{text}\n{SMALL}initial_state: {{file: s0.npz}}\n")
    return load("c.yaml").runs


def faults(text):
    with pytest.raises(gradflow.InputError) as caught:
        runs(text)
    return [str(fault).partition("initial_state.file: ")[2] for fault in caught.value.faults]


def test_each_part_is_the_array_of_its_name(here):
    found = arrays(c=(3, 4), h=(3, 4))
    (run,) = runs("cell: lstm")
    assert run.batch_size == 3
    np.testing.assert_array_equal(initial_state(run)[0, 0], np.hstack([found["h"], found["c"]]))
    assert all(c.holds for c in gradflow.verify(run).comparisons)


def test_places_of_a_stack_have_names_of_their_own(here):
    names = [f"{part}_l{k}{end}" for part in "hc" for k in (0, 1) for end in ("", "_reverse")]
    found = arrays(**dict.fromkeys(names, (2, 4)))
    (run,) = runs("cell: lstm\nlayers: 2\nbidirectional: true\nbatch_size: 2")
    for (layer, direction), s in initial_state(run).items():
        end = f"_l{layer}" + "_reverse" * direction
        np.testing.assert_array_equal(s, np.hstack([found[f"h{end}"], found[f"c{end}"]]))


def test_a_file_serves_a_sweep_of_cells_and_layers(here):
    found = arrays(h_l0=(2, 4), h_l1=(2, 4), c_l0=(2, 4), c_l1=(2, 4))
    rnn, deep, *_ = runs("cell: [rnn, lstm]\nlayers: [1, 2]")
    np.testing.assert_array_equal(initial_state(rnn)[0, 0], found["h_l0"])
    np.testing.assert_array_equal(initial_state(deep)[1, 0], found["h_l1"])


@pytest.mark.parametrize("shape", [(2, 4, 2), (2, 8)])
def test_a_matrix_part_may_be_flat_and_a_gauge_is_a_part(here, shape):
    found = arrays(h=(2, 4), M=shape, g=(2, 1))
    (run,) = runs(MATRIX)
    s = np.hstack([found["h"], found["M"].reshape(2, -1), found["g"]])
    np.testing.assert_array_equal(initial_state(run)[0, 0], s)


@pytest.mark.parametrize(
    ("shapes", "text", "told"),
    [
        ({"h": (3, 4)}, "cell: lstm", "s0.npz has no array 'c', a state of lstm"),
        ({"hh": (3, 4)}, "cell: rnn",
         "s0.npz has no array 'h', a state of rnn: did you mean 'hh'?"),
        ({"h": (3, 5)}, "cell: rnn",
         "array 'h' of s0.npz: expected the shape (3, 4), found (3, 5)"),
        ({"h": (3, 4)}, "cell: rnn\nbatch_size: 2",
         "array 'h' of s0.npz: expected the shape (2, 4), found (3, 4)"),
        ({"h": (4,)}, "cell: rnn", "array 'h' of s0.npz: expected the shape (4, 4), found (4,)"),
        ({"h": ()}, "cell: rnn", "array 'h' of s0.npz: expected the shape (32, 4), found ()"),
        ({"h": (3, 4), "c": (3, 4)}, "cell: rnn",
         "array 'c' of s0.npz is no part of the state of any run"),
        ({"h": (3, 4)}, "cell: rnn\nlayers: 2", "s0.npz has no array 'h_l1', a state of rnn"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_says_what_would(here, shapes, text, told):
    arrays(**shapes)
    assert told in faults(text)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.full((2, 4), np.inf), "array 'h': expected finite numbers, found inf at [0, 0]"),
        (np.ones((2, 4), complex), "array 'h': expected real numbers, found dtype complex128"),
        (np.ones((0, 4)), "array 'h': expected numbers, found an array of shape (0, 4)"),
    ],
)
def test_what_is_no_finite_number_is_refused(here, array, told):
    np.savez("s0.npz", h=array)
    (fault,) = faults("cell: rnn")
    assert told in fault


def test_a_file_that_is_none(here):
    (fault,) = faults("cell: rnn")
    assert "s0.npz: no such file" in fault
    with open("s0.csv", "w", encoding="utf-8") as file:
        file.write("h\n1\n")
    with open("c.yaml", "w", encoding="utf-8") as file:
        file.write("cell: rnn\ninitial_state: {file: s0.csv}\n")
    with pytest.raises(gradflow.InputError, match=r"expected a \.npz file of named arrays"):
        load("c.yaml")


def test_no_output_takes_the_place_of_the_file(here, capsys):
    arrays(h=(2, 4))
    with open("c.yaml", "w", encoding="utf-8") as file:
        file.write(f"cell: rnn\n{SMALL}initial_state: {{file: out.csv}}\n")
    shutil.copy("s0.npz", "out.csv")
    code, _, _ = main(capsys, "analyze", "c.yaml", "--output", "out.csv")
    assert code == 2
    with np.load("out.csv") as file:
        assert file["h"].shape == (2, 4)
