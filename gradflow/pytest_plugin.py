"""The pytest plugin: `gradient_flow`, a fixture that keeps baselines next to the tests.

    def test_the_encoder(gradient_flow):
        gradient_flow(encoder, config={"sequence_length": 200}, horizon=100)

The first run needs `pytest --gradflow-update`, which writes the baselines; later ones compare.
"""

# Nothing of gradflow is imported before a test asks for it: a suite that does not use the fixture
# loads no NumPy for it.
from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradflow.results import Result

FOLDER = "gradient_flow"
"""The folder of the baselines, next to the file of the tests."""

_LONGEST = 100  # characters of a baseline's name


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--gradflow-update`."""
    parser.getgroup("gradflow").addoption(
        "--gradflow-update",
        action="store_true",
        help="write the baselines of the fixture gradient_flow anew",
    )


class GradientFlow:
    """What the fixture gives: call it with what `gradflow.testing.assert_gradient_flow` takes.

    Attributes:
        folder: where the baselines of this file of tests are.
        test: the name of the test, after those of its classes.
        update: whether they are written anew.
    """

    def __init__(self, folder: Path, test: str, update: bool) -> None:
        self.folder, self.test, self.update = folder, test, update
        self._seen: dict[str, int] = {}

    def __call__(
        self,
        subject: Any,
        *,
        name: str = "",
        tolerance: float = 0.05,
        config: Any = None,
        weights: Any = None,
        **expected: Any,
    ) -> list[Result]:
        """Compare a net with its baseline, and hold it to what else is expected.

        Args:
            subject, config, weights: as `assert_gradient_flow` has them.
            name: of the baseline, where a test has several; else they are counted.
            tolerance: decades that curves may be apart.
            expected: figures, `where` and `allow_undecided`, as there.

        Returns:
            The results.
        """
        __tracebackhide__ = True
        from gradflow.testing import assert_gradient_flow, run, save

        path = self.path(name)
        results, experiment = run(subject, config, weights)
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, results, experiment)
        elif not path.exists():
            pytest.fail(f"{path}: no baseline yet: pytest --gradflow-update writes it")
        thresholds = None if experiment is None else experiment.thresholds
        assert_gradient_flow(
            results, baseline=path, tolerance=tolerance, thresholds=thresholds, **expected
        )
        return results

    def path(self, name: str = "") -> Path:
        """The file of the next baseline of this test: its name, and where signs in it are replaced,
        its end is cut or letters are capital (which many file systems do not distinguish from small
        ones), what tells it from others that would look the same."""
        key = f"{self.test}.{name}" if name else self.test
        self._seen[key] = count = self._seen.get(key, 0) + 1
        numbered = key if count == 1 else f"{key}-{count}"
        plain = re.sub(r"[^\w.=\[\]-]+", "_", numbered, flags=re.ASCII)[:_LONGEST]
        if plain != numbered or plain != plain.lower() or re.search(r"-\d+$", name):
            plain += f"-{hashlib.sha256(repr((key, count)).encode()).hexdigest()[:8]}"
        return self.folder / f"{plain}.json"


@pytest.fixture
def gradient_flow(request: pytest.FixtureRequest) -> GradientFlow:
    """Holds nets to baselines next to the tests, which `--gradflow-update` writes anew."""
    file = Path(request.path)
    update = bool(request.config.getoption("--gradflow-update"))
    classes = [node.name for node in request.node.listchain() if isinstance(node, pytest.Class)]
    test = ".".join([*classes, request.node.name])
    return GradientFlow(file.parent / FOLDER / file.stem, test, update)
