from __future__ import annotations

from pathlib import Path

import pytest

from command import main
from gradflow.config.load import load

FOLDER = Path(__file__).parent.parent / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


def test_there_are_configs_to_learn_from():
    assert len(CONFIGS) >= 6
    assert FOLDER / "quickstart.yaml" in CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_opens_with_two_lines_on_what_to_look_for(path):
    first, second, third, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith("# Look for: ")
    assert not third.startswith("#")
    assert max(len(first), len(second)) <= 105


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_runs(path, capsys):
    code, out, err = main(capsys, "analyze", path)
    assert (code, err) == (0, "")
    experiment = load(path)
    assert experiment.title is not None
    assert out.startswith(experiment.title[:30])
    assert "verdict" in out
    assert "lag" in out


def test_the_quickstart_shows_its_lags_without_being_asked(capsys):
    _, out, _ = main(capsys, "analyze", FOLDER / "quickstart.yaml")
    assert "--tables" not in out
    assert "The relative gradient" in out


def test_the_textbook_expansion_adds_up():
    """Three steps of a scalar: each lag multiplies dL/ds by w_s = 0.5."""
    import gradflow

    [result] = gradflow.analyze(FOLDER / "three-steps.yaml")
    norms = result.flow.state.floats()
    assert norms[1:] / norms[:-1] == pytest.approx([0.5] * 3, rel=1e-14)
    assert result.flow.share_W_s[-1] == pytest.approx(1, rel=1e-12)


def test_a_loss_at_every_step_is_flat_and_vanishes_all_the_same(capsys):
    _, out, _ = main(capsys, "analyze", FOLDER / "every-step.yaml")
    text = " ".join(out.split())
    assert "verdict vanishing: that of the loss at one step falls below 0.001 of its start" in text
    assert "says where gradient arrives, not how far it reaches" in text


def test_a_linear_orthogonal_net_explodes_at_exactly_its_scale():
    import gradflow

    for result in gradflow.analyze(FOLDER / "exploding.yaml"):
        if "linear" in str(result.axes["cell"]):
            assert result.diagnosis.rate == pytest.approx(result.axes["ws_scale"], rel=1e-12)
