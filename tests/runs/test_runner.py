from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from gradflow.errors import GradflowError
from gradflow.runs import memory
from gradflow.runs.runner import bundles, execute, run_elsewhere, time_steps
from gradflow.runs.scheduling.journal import Journal
from sweeps import one_by_one, small, text


class Recorder(Executor):
    """Works a bundle out as it is handed in; knows how many were handed in."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("net", [{}, {"layers": 2}, {"bidirectional": True, "loss": "sum"}])
def test_bundled_runs_give_the_bytes_of_runs_alone(net):
    experiment = small(**net)
    assert max(map(len, bundles(enumerate(experiment.runs)))) > 1
    assert text(experiment, execute(experiment)) == one_by_one(experiment)


def test_an_executor_gives_the_bytes_of_runs_alone_whatever_finishes_first():
    experiment = small()
    with ThreadPoolExecutor(3) as executor:
        results = list(execute(experiment, executor=executor, workers=3))
    assert [r.run for r in results] == list(range(len(experiment.runs)))
    assert text(experiment, results) == one_by_one(experiment)


def test_every_result_says_what_the_sweep_varies():
    assert all(r.varied == ("cell", "hidden_size", "ws_scale", "seed") for r in execute(small()))


def test_few_bundles_are_in_hand_however_long_the_sweep(monkeypatch):
    monkeypatch.setattr(memory, "_BUNDLE_ELEMENTS", 1)
    executor = Recorder()
    results = execute(small(), executor=executor, workers=2)
    for taken, _ in enumerate(results, 1):
        assert executor.submitted <= taken - 1 + 4 * 2


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("layers", [1, 2])
def test_progress_adds_up_to_the_time_steps_of_all_runs(workers, layers, tmp_path):
    experiment = small(layers=layers)
    executor = Recorder() if workers else None

    def steps_told(journal):
        said = []
        list(execute(experiment, said.append, executor, workers or 1, journal))
        return sum(said)

    total = sum(map(time_steps, experiment.runs))
    with Journal(tmp_path, experiment.runs, experiment.thresholds) as journal:
        assert steps_told(None) == steps_told(journal) == steps_told(journal) == total


@pytest.mark.parametrize("workers", [1, 2, 5, 100])
def test_bundles_hold_every_run_once_and_are_enough_for_all_workers(workers):
    numbered = list(enumerate(small(seed=list(range(12))).runs))
    cut = list(bundles(numbered, workers))
    assert [item for bundle in cut for item in bundle] == numbered
    assert all(len({run.shape for _, run in bundle}) == 1 for bundle in cut)
    assert workers == 1 or len(cut) >= min(2 * workers, len(numbered))


def test_a_worker_of_another_version_refuses():
    with pytest.raises(GradflowError, match=r"a worker has gradflow .*, here is 0\.0\.0"):
        run_elsewhere("0.0.0", [], (1e-3, 1e3))


def test_only_what_a_journal_does_not_hold_is_run(tmp_path):
    experiment = small()
    half = replace(experiment, runs=experiment.runs[::2])
    with Journal(tmp_path, half.runs, half.thresholds) as journal:
        list(execute(half, journal=journal))
    with Journal(tmp_path, experiment.runs, experiment.thresholds) as journal:
        executor = Recorder()
        results = list(execute(experiment, executor=executor, journal=journal))
        assert text(experiment, results) == one_by_one(experiment)
    with Journal(tmp_path, experiment.runs, experiment.thresholds) as journal:
        again = Recorder()
        results = list(execute(experiment, executor=again, journal=journal))
        assert text(experiment, results) == one_by_one(experiment)
    assert executor.submitted > 0
    assert again.submitted == 0
