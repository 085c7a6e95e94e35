"""A plugin of pytest for mutants: runs the tests that a file names, in its order, and writes how
long each took.

    CHOSEN_TESTS=FILE      the tests' ids, one a line; without it all that are collected
    TIMES_OF_TESTS=FILE    JSON, seconds by id
    FORGETTING=1           what is computed once is computed anew for every test, so that each is
                           seen to reach all the code that its result rests on
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

import pytest

_times: dict[str, float] = {}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "CHOSEN_TESTS" in os.environ:
        names = Path(os.environ["CHOSEN_TESTS"]).read_text(encoding="utf-8").split("\n")
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in names if name in by_name]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "FORGETTING" in os.environ:
        for name, module in list(sys.modules.items()):
            if name.startswith("gradflow."):
                for one in list(vars(module).values()):
                    if isinstance(one, functools._lru_cache_wrapper):
                        one.cache_clear()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _times[report.nodeid] = _times.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    if "TIMES_OF_TESTS" in os.environ:
        Path(os.environ["TIMES_OF_TESTS"]).write_text(json.dumps(_times), encoding="utf-8")
