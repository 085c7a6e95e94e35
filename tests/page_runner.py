"""Runs the snippets of a page, one after the other in one folder, and says what did not hold."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

import gradflow
from command import LOUD
from gradflow.config.schema import schema
from pages import ROOT, Snippet

_NUMBER = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")
_DRAWN = re.compile(r"[\s─▁▂▃▄▅▆▇█▏▎▍▌▋▊▉]+")


class Session:
    """A reader at the page: a folder with `configs/` and an empty `docs/figures/` in it, a shell,
    and a Python that goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: set[str] = set()
        """What snippets needed and this machine has not."""
        self.printed: dict[int, str] = {}
        """What was printed in place of each output, by the line where its block begins."""
        self._names: dict[str, Any] = {"__name__": "__page__"}
        self._printed = ""
        shutil.copytree(ROOT / "configs", folder / "configs")
        (folder / "docs" / "figures").mkdir(parents=True)

    def figures(self) -> dict[str, Path]:
        """The figures that were made, by the name of their file."""
        made = [*self.folder.glob("*.svg"), *self.folder.glob("docs/figures/*.svg")]
        return {path.name: path for path in made}

    def faults(self, snippets: list[Snippet]) -> Iterator[str]:
        """`line N: what did not hold` for each snippet that did not."""
        passed_over = False  # the `sh` or `python` block above, and so its output
        for snippet in snippets:
            missing = {n for n in snippet.tags.get("needs", "").split() if not _is_here(n)}
            self.missing |= missing
            is_run = not missing and "not run" not in snippet.tags
            if snippet.language in ("sh", "python", "pycon"):
                passed_over = not is_run
            if is_run and not (passed_over and "output of the above" in snippet.tags):
                yield from (f"line {snippet.line}: {fault}" for fault in self._run(snippet))

    def _run(self, snippet: Snippet) -> Iterator[str]:
        if "file" in snippet.tags:
            (self.folder / snippet.tags["file"]).write_text(snippet.text, encoding="utf-8")
        if "output of" in snippet.tags:
            yield from self._shell(snippet.tags["output of"], snippet.tags)
        if {"output of", "output of the above"} & snippet.tags.keys():
            self.printed[snippet.line] = self._printed
            yield from differences(snippet.text, self._printed)
        elif snippet.language == "sh":
            yield from self._shell(snippet.text, snippet.tags)
        elif snippet.language == "yaml":
            yield from self._config(snippet)
        elif snippet.language in ("python", "pycon"):
            yield from self._python(snippet.text)

    def _shell(self, script: str, tags: dict[str, str]) -> Iterator[str]:
        commands = _plain_commands(script)
        code = self._shell_out(script) if commands is None else self._in_process(commands)
        expected = int(tags.get("exit", "0"))
        if code != expected:
            yield f"exit {code} in place of {expected}: {script}\n{self._printed}"

    def _in_process(self, commands: list[list[str]]) -> int:
        """Commands of gradflow alone, which need no shell, without a process for each."""
        from gradflow.cli import app_for

        printed, code = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), 0
        with self._here(printed), patch.dict(os.environ, _environment(), clear=True):
            for arguments in commands:
                try:
                    app_for()(arguments, prog_name="gradflow")
                except SystemExit as end:
                    code = int(end.code or 0)
                if code:
                    break
        printed.flush()
        self._printed = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
        return code

    def _shell_out(self, script: str) -> int:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", script],
            cwd=self.folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            check=False,
        )
        self._printed = done.stdout
        return done.returncode

    def _config(self, snippet: Snippet) -> Iterator[str]:
        """A config, or some of its keys, is accepted by `load`; other YAML has to be YAML."""
        try:
            data = yaml.safe_load(snippet.text)
        except yaml.YAMLError as error:
            yield f"no YAML: {error}"
            return
        if not isinstance(data, dict) or not data.keys() & schema()["properties"].keys():
            return
        path = self.folder / snippet.tags.get("file", ".snippet.yaml")
        fragment = not data.keys() & {"cell", "weights"}
        path.write_text(snippet.text + "\ncell: rnn\n" * fragment, encoding="utf-8")
        try:
            gradflow.load(path)
        except gradflow.InputError as error:
            yield str(error)
        if "file" in snippet.tags:
            path.write_text(snippet.text, encoding="utf-8")

    def _python(self, text: str) -> Iterator[str]:
        printed = io.StringIO()
        try:
            with self._here(printed):
                if text.lstrip().startswith(">>>"):
                    yield from self._doctest(text)
                else:
                    exec(compile(text, "<page>", "exec"), self._names)
        except Exception:
            yield traceback.format_exc(limit=-2)
        self._printed = printed.getvalue()

    @contextmanager
    def _here(self, printed: io.TextIOBase) -> Iterator[None]:
        """In the reader's folder, and what is printed is kept."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield
        finally:
            os.chdir(before)

    def _doctest(self, text: str) -> Iterator[str]:
        report: list[str] = []
        example = doctest.DocTestParser().get_doctest(text, self._names, "page", None, 0)
        runner = doctest.DocTestRunner(_Near(), verbose=False, optionflags=doctest.ELLIPSIS)
        runner.run(example, out=report.append, clear_globs=False)
        self._names.update(example.globs)
        yield from report


class _Near(doctest.OutputChecker):
    """What a doctest shows is compared as the output of a command is."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or not [*differences(want, got)]


def differences(shown: str, printed: str) -> Iterator[str]:
    """What a page shows against what was printed: the same words, and numbers that agree to 2 % or
    two units of the last digit shown, since another BLAS may round the other way. What is drawn
    with blocks is not compared; a line `...` means any lines."""
    shown, printed = shown.rstrip(), printed.rstrip()
    pieces = re.split(r"(?:^|\n)\s*\.\.\.(?=\n|$)", shown)
    pattern = "(?:.*)".join(map(_pattern, pieces))
    found = re.fullmatch(pattern, _words(printed), re.DOTALL)
    if found is None:
        yield f"shown\n{shown}\nbut printed\n{printed}"
        return
    numbers = [text for text in found.groups() if text is not None]
    for ours, theirs in zip(_NUMBER.findall("\n".join(pieces)), numbers, strict=True):
        value, other = Decimal(ours), Decimal(theirs)
        unit = Decimal((0, (1,), int(value.as_tuple().exponent)))
        if abs(value - other) > max(abs(value) * Decimal("0.02"), 2 * unit):
            yield f"shown {ours} but printed {theirs}"


def _pattern(text: str) -> str:
    """What matches a text's words, with a group for each of its numbers."""
    number = r"(\d+\.\d+(?:e[+-]?\d+)?)"
    return number.join(re.escape(words) for words in _NUMBER.split(_words(text)))


def _words(text: str) -> str:
    return _DRAWN.sub(" ", text).strip()


def _plain_commands(script: str) -> list[list[str]] | None:
    """The arguments of each line, where all are commands of gradflow and use nothing of a shell."""
    commands = []
    for line in script.replace("\\\n", " ").strip().splitlines():
        words = list(shlex.shlex(line, posix=False, punctuation_chars=True))
        if words[:1] != ["gradflow"] or "#" in line or any(map(_is_shell, words)):
            return None
        commands.append(shlex.split(line)[1:])
    return commands


def _is_shell(word: str) -> bool:
    """Whether a word means something to the shell but itself."""
    is_quoted = word[0] == "'" == word[-1] or (word[0] == '"' == word[-1] and "$" not in word)
    return not is_quoted and re.search(r"[|&;<>()$`*?\\~]", word) is not None


def _is_here(name: str) -> bool:
    """Whether there is a Python package or a command of this name."""
    return bool(find_spec(name) or shutil.which(name, path=_environment()["PATH"]))


def _environment() -> dict[str, str]:
    """Of a shell where `gradflow` is on the PATH, and is the one being tested."""
    ours = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(Path(gradflow.__file__).parent.parent),
        "PYTHONIOENCODING": "utf-8",
    }
    return {**{k: v for k, v in os.environ.items() if k not in LOUD}, **ours}
