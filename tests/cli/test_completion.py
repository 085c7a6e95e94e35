"""What Tab completes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import gradflow
from command import GRADFLOW, run


def test_completion_as_typer_gives_it():
    named = {
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"
    }  # not asked of the processes above
    ended = run("--show-completion", "bash", env=named)
    assert ended.returncode == 0
    assert "complete_bash" in ended.stdout
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "gradflow an",
                     "COMP_CWORD": "1"})  # fmt: skip
    assert "analyze" in ended.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--set", "cell", "=", "ls"], ["lstm", "lstmp"]),
        (["--set", "dtype", "="], ["float64", "float32"]),
        (["--set", "cell", "=", "rnn", "--set", "dtype", "=", "float3"], ["float32"]),
        (["--set", "cell", "=", "rnn", "--set", "hid"], ["hidden_size=", "hidden_size=64"]),
        (["--set", "ws_init=orth"], ["ws_init=orthogonal"]),
    ],
)
def test_bash_breaks_words_at_the_equals_sign(words, offered):
    words = ["gradflow", "analyze", "c.yaml", *words]
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words),
                     "COMP_CWORD": str(len(words) - 1)})  # fmt: skip
    assert ended.stdout.split() == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_puts_no_blank_behind_a_key(tmp_path):
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = run("--show-completion", "bash", env=named).stdout
    (tmp_path / "gradflow").write_text(f'#!/bin/sh\nexec {" ".join(GRADFLOW)} "$@"\n')
    (tmp_path / "gradflow").chmod(0o755)
    asked = "COMP_WORDS=(gradflow analyze c.yaml --set hid); COMP_CWORD=4; _gradflow_completion " \
            "gradflow; echo ${#COMPREPLY[@]} ${COMPREPLY[*]}"  # fmt: skip
    folder = Path(gradflow.__file__).parent.parent
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(["bash", "--norc", "-c", f"{script}\n{asked}"],
                           check=True, text=True, stdout=subprocess.PIPE, cwd=folder,
                           env={**os.environ, "PATH": path})  # fmt: skip
    assert ended.stdout.split() == ["2", "hidden_size=", "hidden_size=64"]


def test_cells_completes_its_name():
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "gradflow\ncells\nls",
                     "COMP_CWORD": "2"})  # fmt: skip
    assert ended.stdout.split() == ["lstm", "lstmp"]


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("ws_", ["ws_init=", "ws_scale="]),
        ("ws_init=o", ["ws_init=orthogonal"]),
        ("cell=ls", ["cell=lstm", "cell=lstmp"]),
        ("cell.forget", ["cell.forget_bias=", "cell.forget_bias=0.0"]),
        ("hid", ["hidden_size=", "hidden_size=64"]),
        ("dty", ["dtype=", "dtype=float32", "dtype=float64"]),
        ("los", ["loss=", *(f"loss={kind}" for kind in ("cross_entropy", "mse", "probe", "sum"))]),
        ("thres", ["thresholds.exploding=1000.0", "thresholds.vanishing=0.001", "thresholds="]),
        ("cell.reset=", ["cell.reset=after", "cell.reset=before"]),
        ("dtype=float3", ["dtype=float32"]),
        ("ws_scale=", []),
        (
            "loss.k",
            ["loss.kind=", *(f"loss.kind={k}" for k in ("cross_entropy", "mse", "probe", "sum"))],
        ),
        ("thresholds.", ["thresholds.exploding=", "thresholds.vanishing="]),
        ("input.key", ["input.key=", "input.key=null"]),
        ("input.kind=", ["input.kind=gaussian", "input.kind=zeros"]),
        ("cell.type=lstm", ["cell.type=lstm", "cell.type=lstmp"]),
        ("bidirectional=", ["bidirectional=false", "bidirectional=true"]),
        ("measure=j", ["measure=jacobian"]),
        ("no.thing", []),
        ("nothing", []),
    ],
)
def test_set_completes_keys_and_choices(begun, offered):
    from gradflow.config.overrides import settable

    assert sorted(settable(begun)) == sorted(offered)


def test_the_shell_completes_set():
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_CWORD": "4",
                     "COMP_WORDS": "gradflow analyze c.yaml --set hidden"})  # fmt: skip
    assert "hidden_size=" in ended.stdout
