"""The pytest plugin: `gradient_flow`, a fixture that keeps baselines next to the tests.

    def test_the_encoder(gradient_flow):
        gradient_flow(encoder, config={"sequence_length": 200}, horizon=100)

The first run needs `pytest --gradflow-update`, which writes the baselines; later ones compare.
What was written, and baselines that no test uses any more, are told below the results of the tests.
"""

# Nothing of gradflow is imported before a test asks for it: a suite that does not use the fixture
# loads no NumPy for it.
from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradflow.counts import many

if TYPE_CHECKING:
    from gradflow.results import Result

FOLDER = "gradient_flow"
"""The folder of the baselines, next to the file of the tests."""

_LONGEST = 100  # characters of a baseline's name
_MOST_NAMED = 20  # baselines of a kind that are told


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--gradflow-update`."""
    parser.getgroup("gradflow").addoption(
        "--gradflow-update",
        action="store_true",
        help="write the baselines of the fixture gradient_flow anew, and remove those of a file "
        "of tests that none uses, where all of its tests pass",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keeps account of the baselines."""
    config.pluginmanager.register(Account(config), "gradflow-account")


class GradientFlow:
    """What the fixture gives: call it with what `gradflow.testing.assert_gradient_flow` takes.

    Attributes:
        folder: where the baselines of this file of tests are.
        test: the name of the test, after those of its classes.
        update: whether they are written anew.
        used, written: the baselines that were asked for, and those of them that were written.
    """

    def __init__(self, folder: Path, test: str, update: bool) -> None:
        self.folder, self.test, self.update = folder, test, update
        self.used: list[str] = []
        self.written: list[str] = []
        self._seen: dict[str, int] = {}

    def __call__(
        self,
        subject: Any,
        *,
        name: str = "",
        tolerance: float = 0.05,
        config: Any = None,
        weights: Any = None,
        input: Any = None,
        where: Mapping[str, Any] | None = None,
        allow_undecided: bool = False,
        thresholds: tuple[float, float] | None = None,
        **figures: Any,
    ) -> list[Result]:
        """Compare a net with its baseline, and hold it to what else is expected.

        Args:
            subject, config, weights, input, where, allow_undecided, thresholds, figures: as
                `assert_gradient_flow` has them.
            name: of the baseline, where a test has several; else they are counted.
            tolerance: decades that curves may be apart.

        Returns:
            The results.
        """
        __tracebackhide__ = True
        from gradflow.errors import InputError
        from gradflow.testing import missed, run

        path = self.path(name)
        self.used.append(str(path))
        if not self.update and not path.exists():
            pytest.fail(f"{path}: no baseline yet: pytest --gradflow-update writes it")
        try:
            made = run(subject, config, weights, input)
            message = missed(
                made,
                figures,
                where=where,
                allow_undecided=allow_undecided,
                baseline=path,
                tolerance=tolerance,
                thresholds=thresholds,
                update=self.update,
            )
        except InputError as error:  # ends at the line of the test
            raise error.with_traceback(None) from None
        if self.update:
            self.written.append(str(path))
        if message:
            raise AssertionError(message)
        return made.results

    def path(self, name: str = "") -> Path:
        """The file of the next baseline of this test: its name, and where signs in it are replaced,
        its end is cut or letters are capital (which many file systems do not distinguish from small
        ones), what tells it from others that would look the same."""
        key = f"{self.test}.{name}" if name else self.test
        self._seen[key] = count = self._seen.get(key, 0) + 1
        numbered = key if count == 1 else f"{key}-{count}"
        plain = _file_name(numbered)
        if plain != numbered or plain != plain.lower() or re.search(r"-\d+$", name):
            plain += f"-{hashlib.sha256(repr((key, count)).encode()).hexdigest()[:8]}"
        return self.folder / f"{plain}.json"


def _file_name(text: str) -> str:
    """With which the names of the baselines begin whose name begins with this."""
    return re.sub(r"[^\w.=\[\]-]+", "_", text, flags=re.ASCII)[:_LONGEST]


@pytest.fixture
def gradient_flow(request: pytest.FixtureRequest) -> GradientFlow:
    """Holds nets to baselines next to the tests, which `--gradflow-update` writes anew."""
    update = bool(request.config.getoption("--gradflow-update"))
    flow = GradientFlow(_folder(request.node), _test(request.node), update)
    request.node.stash[_FLOW] = flow
    return flow


def _folder(node: pytest.Item) -> Path:
    """Where the baselines of its file are."""
    return node.path.parent / FOLDER / node.path.stem


def _test(node: pytest.Item) -> str:
    """The name of a test, after those of its classes."""
    classes = [one.name for one in node.listchain() if isinstance(one, pytest.Class)]
    return ".".join([*classes, node.name])


class Account:
    """Which baselines the tests used and wrote, and which of those that are there none did.

    A test that did not pass, or was left out, may have others than it came to. A baseline whose
    name begins like that of such a test is its, and nothing is said of it; where a part of a file
    of tests was not even collected, nothing is said at all. What is left over is removed on an
    update where all tests of its file have passed, else only named.

    The reports of tests carry what they used and wrote, from other processes too; what was
    collected the workers of xdist send when they end.

    Attributes:
        used, written: the baselines, as paths.
        tests: by folder of baselines the name of each collected test, by its id.
        passed, failed: ids of tests.
        whole: whether every test of the files was collected, and every worker has told.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.used: set[str] = set()
        self.written: set[str] = set()
        self.tests: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.update = bool(config.getoption("--gradflow-update"))
        picked = any("::" in one for one in config.args)  # single tests of a file
        self.whole = not picked and not config.getoption("lf", False)

    # What is seen

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """A test that is there, whether it will run or is deselected."""
        self.tests[str(_folder(item))][item.nodeid] = _test(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file or a class that could not be collected."""
        if not report.passed:
            self.whole = False

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, None]:
        """What a test used and wrote goes with its report."""
        made = yield
        flow = item.stash.get(_FLOW, None)
        if flow is not None:
            made.get_result().gradient_flow = {"used": flow.used, "written": flow.written}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """How a test ended."""
        told = getattr(report, "gradient_flow", {})
        self.used.update(told.get("used", ()))
        self.written.update(told.get("written", ()))
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.passed and report.when == "call" and not hasattr(report, "wasxfail"):
            self.passed.add(report.nodeid)

    # Workers

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Of a worker: tell."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            tests = {folder: of for folder, of in self.tests.items() if os.path.isdir(folder)}
            output["gradflow"] = [tests, self.whole]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Of the process that reports: be told."""
        told = getattr(node, "workeroutput", {}).get("gradflow")
        if error is not None or told is None:
            self.whole = False
            return
        tests, whole = told
        self.whole &= whole
        for folder, of in tests.items():
            self.tests[folder].update(of)

    # What is told

    def unused(self) -> tuple[list[Path], list[Path]]:
        """The baselines that no test of their file has any more: those that an update may remove,
        since all tests of the file have passed, and the others."""
        sure: list[Path] = []
        others: list[Path] = []
        passed, in_use = self.passed - self.failed, set(map(os.path.dirname, self.used))
        for folder, tests in self.tests.items() if self.whole else ():
            open_ = tuple(_file_name(test) for id_, test in tests.items() if id_ not in passed)
            found = [
                path
                for path in _baselines(folder)
                if str(path) not in self.used and not path.name.startswith(open_)
            ]
            (others if open_ or folder not in in_use else sure).extend(found)
        of_files_gone = [path for folder in self._without_file() for path in _baselines(folder)]
        return sure, [*others, *of_files_gone]

    def _without_file(self) -> list[str]:
        """Folders of baselines next to those that are in use, whose own file of tests is gone."""
        gone: list[str] = []
        for parent in sorted({Path(path).parent.parent for path in self.used}):
            stems = {path.stem for path in parent.parent.iterdir()}
            gone += [str(path) for path in sorted(parent.glob("*/")) if path.name not in stems]
        return gone

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What was written, and what is there for nothing."""
        sure, others = self.unused()
        removed = sure if self.update else []
        for path in removed:
            path.unlink(missing_ok=True)
        left = others if self.update else sorted([*sure, *others])
        remedy = "delete what is not wanted; --gradflow-update does where all tests of a file pass"
        told = (
            (sorted(map(Path, self.written)), "baseline", "written:"),
            (removed, "unused baseline", "removed:"),
            (left, "unused baseline", f"({remedy}):"),
        )
        if any(paths for paths, _, _ in told):
            terminalreporter.section("gradient_flow")
        for paths, noun, how in told:
            if paths:
                terminalreporter.write_line(f"{many(len(paths), noun)} {how}")
            for path in paths[:_MOST_NAMED]:
                terminalreporter.write_line(f"  {os.path.relpath(path)}")
            if len(paths) > _MOST_NAMED:
                terminalreporter.write_line(f"  … and {len(paths) - _MOST_NAMED:,} more")


def _baselines(folder: str) -> list[Path]:
    """The files of results in a folder; what else is there is not ours."""
    paths = [path for path in sorted(Path(folder).glob("*.json")) if path.is_file()]
    if not paths:
        return []
    from gradflow.saved import holds_results

    return [path for path in paths if holds_results(path)]


_FLOW = pytest.StashKey[GradientFlow]()
"""Of a test that uses the fixture: what that is."""
