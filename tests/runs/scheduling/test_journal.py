import os

import pytest

from gradflow.errors import InputError
from gradflow.runs.runner import execute
from gradflow.runs.scheduling.journal import Journal
from sweeps import one_by_one, small, text

TINY = {
    "cell": "rnn",
    "hidden_size": 1,
    "batch_size": 1,
    "input_size": 1,
    "sequence_length": 1,
    "ws_scale": 1.0,
    "seed": [0, 1, 2],
}


@pytest.fixture
def written(tmp_path):
    """A tiny sweep and the file of its journal."""
    experiment = small(**TINY)
    with journal_in(tmp_path, experiment) as journal:
        list(execute(experiment, journal=journal))
    return experiment, tmp_path / "journal.jsonl"


def journal_in(folder, experiment):
    return Journal(folder, experiment.runs, experiment.thresholds)


def test_a_journal_torn_at_any_byte_loses_its_last_line_alone(written, monkeypatch):
    experiment, path = written
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # thousands of times
    whole = path.read_bytes()
    last = len(b"".join(whole.splitlines(keepends=True)[:-1]))
    results = list(execute(experiment))
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        with journal_in(path.parent, experiment) as journal:
            complete = cut == len(whole) - 1  # only the line end is missing
            assert journal.finished() == ({0, 1, 2} if complete else {0, 1})
            assert len(journal.damage) == (0 if complete or cut == last else 1)
            if not complete:
                journal.add([(2, experiment.runs[2])], [results[2]])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("damage", ["flip", "drop", "garbage"])
def test_a_damaged_line_is_lost_alone_and_named(written, line, damage):
    experiment, path = written
    lines = path.read_bytes().splitlines(keepends=True)
    good = lines[line]
    lines[line] = {
        "flip": good[:50] + bytes([good[50] ^ 1]) + good[51:],
        "drop": good[:60] + good[61:],
        "garbage": b"\0" * 20 + b"\n",
    }[damage]
    path.write_bytes(b"".join(lines))
    with journal_in(path.parent, experiment) as journal:
        assert journal.finished() == {0, 1, 2} - {line}
        assert [f"{path}:{line + 1}: warning: " in d for d in journal.damage] == [True]
        results = execute(experiment, journal=journal)
        assert text(experiment, results) == one_by_one(experiment)
    with journal_in(path.parent, experiment) as journal:
        assert journal.finished() == {0, 1, 2}


def test_a_journal_serves_another_order_of_its_runs_and_no_other_thresholds(written):
    _, path = written
    other = small(**{**TINY, "seed": [2, 7, 0]})
    with journal_in(path.parent, other) as journal:
        assert journal.finished() == {0, 2}
        assert text(other, execute(other, journal=journal)) == one_by_one(other)
    other = small(**TINY, thresholds={"vanishing": 0.5, "exploding": 2.0})
    with journal_in(path.parent, other) as journal:
        assert journal.finished() == set()


def test_one_sweep_at_a_time_uses_a_folder(written):
    experiment, path = written
    with (
        journal_in(path.parent, experiment),
        pytest.raises(InputError, match="in use by another sweep"),
        journal_in(path.parent, experiment),
    ):
        pass
    with journal_in(path.parent, experiment):  # it is free again
        pass


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file/journal"),
        journal_in(tmp_path / "file/journal", small(**TINY)),
    ):
        pass
