"""What the commands share: the app, how each ends, and how its results are shown."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand

from gradflow.cli.options import Over, Theme
from gradflow.errors import Fault, GradflowError
from gradflow.machine import interrupts
from gradflow.output.terminal import width_and_colour, write

if TYPE_CHECKING:
    from gradflow.formats import Look
    from gradflow.results import Result
    from gradflow.runs.experiment import Experiment

EXIT_CODES = """\b
Exit codes:
  0  done
  1  a check did not hold (verify, check, compare, track --expect)
  2  the command line, the config or an input file is wrong
  3  anything else that went wrong
  130  interrupted
"""


_F = TypeVar("_F", bound=Callable[..., Any])


class _Command(TyperCommand):
    """A command whose usage names what it needs as README and help do: CONFIG, without braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [re.sub(r"\{(.*)\}|\[(\[.*\])\]", _bare, piece) for piece in pieces]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is no option but a key of the config is set by `--set`, and the error says so; what
        an option cannot be is said as of a key of the config, not in pydantic's words."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", None)
            if isinstance(option, str) and any("--set" in param.opts for param in self.params):
                from gradflow.config.model import Config

                key = option.lstrip("-").replace("-", "_")
                if key in Config.model_fields:
                    advice = f"{key} is a key of the config: --set {key}=..."
                    message = f"No such option: {option}; {advice}"
                    vars(error).update(message=message, possibilities=None)
            elif (details := getattr(error.__cause__, "errors", None)) is not None:
                from gradflow.config.messages import misfit_of_option

                descriptor = getattr(getattr(error, "param", None), "type_descriptor", None)
                choices = [one.value for one in getattr(descriptor, "choices", None) or ()]
                vars(error).update(message=misfit_of_option(details()[0], choices))
            raise


def _bare(found: re.Match[str]) -> str:
    return (found[1] or found[2]).removesuffix("...")


class _App(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[_F], _F]:
        options.setdefault("cls", _Command)
        return super().command(name, **options)


app = _App(
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: the same on a terminal, in a pipe and in a log
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="How far back in time does the gradient of a recurrent net reach, and why?\n\n"
    "\b\n"
    "Examples:\n"
    "  gradflow init gradflow.yaml       write a commented config to start from\n"
    "  gradflow analyze gradflow.yaml    run it and print the tables\n"
    "  gradflow analyze gradflow.yaml --set cell=lstm --set 'ws_scale=[0.5, 1, 2]'\n"
    "  gradflow analyze gradflow.yaml --format csv > flow.csv\n\n" + EXIT_CODES,
)


def threads_of_each(cores: int | None, workers: int = 1) -> int:
    """The threads that each run of a command may take, of which so many are worked on at a time:
    what `--cores` says, or GRADFLOW_CORES, or one a core."""
    from gradflow.machine.threads import cores as every_core
    from gradflow.machine.threads import threads_of_a_run

    return threads_of_a_run(cores, workers, every_core())


def made_one(
    results: Iterable[Result], look: Callable[[bool], Look], over: Over | None
) -> tuple[Iterable[Result], Callable[[bool], Look]]:
    """The results and how they are shown, over what `--over` says."""
    if over is None:
        return results, look
    from gradflow.formats.merging import look_over_seeds, over_seeds

    return over_seeds(results), lambda screen: look_over_seeds(look(screen))


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Turns what goes wrong in a command into one clear message and the documented exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except GradflowError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", interrupts.INTERRUPTED)
        except FileNotFoundError as error:
            if error.filename is None:  # of what a command does, only getcwd names no file
                fail("error: the current directory is gone: change to another", 2)
            fail(str(Fault(str(error.strerror), _place(error))), 3)
        except MemoryError:
            fail("error: out of memory: lower hidden_size, sequence_length or batch_size", 3)
        except OSError as error:
            fail(str(Fault(error.strerror or str(error), _place(error))), 3)
        except Exception as error:
            if os.environ.get("GRADFLOW_DEBUG"):
                raise
            kind = type(error).__name__
            fail(
                f"error: a fault in gradflow itself: {kind}: {error}\n"
                "Please report it with the config; GRADFLOW_DEBUG=1 shows the traceback.",
                3,
            )

    return run


def _place(error: OSError) -> str | None:
    return None if error.filename is None else os.fsdecode(error.filename)


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong and end the command. After a signal that is all there is to say: the
    interrupt can come back from a library as another error."""
    if interrupts.came():
        message, code = "interrupted", interrupts.INTERRUPTED
    print(message, file=sys.stderr)
    raise typer.Exit(code)


@reporting
def _version(wanted: bool) -> None:
    if wanted:
        from gradflow import __version__

        write([f"gradflow {__version__}\n"])
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None: ...


def warned(results: Iterable[Result], on: bool) -> Iterable[Result]:
    """Says on stderr which runs diverged and what was taken for granted of weights, each once,
    where the format of the results has no words."""
    said: set[str] = set()
    for result in results:
        if on and (result.notes or result.diverged_at is not None):
            _warn(result, said)
        yield result


def _warn(result: Result, said: set[str]) -> None:
    from gradflow.formats.words import clean, name

    for note in result.notes:
        if note not in said:
            said.add(note)
            print(f"note: {clean(note)}", file=sys.stderr)
    if result.diverged_at is not None:
        which = f"run {result.run}, {name(result)}" if result.varied else "run 0"
        print(
            f"warning: {which}: the forward state left "
            f"float range at step {result.diverged_at}; its gradients are empty",
            file=sys.stderr,
        )


def look(
    experiment: Experiment, *, tables: bool, screen: bool = False, theme: Theme = Theme.auto
) -> Look:
    """How results are shown: on the `screen` as wide as it is, or in a pipe or a file."""
    from gradflow.formats import Look

    width, colour = width_and_colour(screen)
    return Look.of(experiment, width=width, colour=colour, tables=tables or None, theme=theme.value)


def plain_look(screen: bool, **more: Any) -> Look:
    """How a report is shown that is of no single experiment."""
    from gradflow.formats import Look

    width, colour = width_and_colour(screen)
    return Look(width=width, colour=colour, **more)
