"""What the shell offers at Tab, and in which words it asks."""

from collections.abc import MutableMapping

_SHELL, _WORDS, _AT = "_GRADFLOW_COMPLETE", "COMP_WORDS", "COMP_CWORD"
_KEY = "_GRADFLOW_KEY"


def join_words(environ: MutableMapping[str, str]) -> None:
    """Bash breaks words at `=`: `--set`, `cell`, `=`, `ls`, and puts what is offered in place of
    the last. Each `--set KEY=VALUE` becomes one word again, and the key of the one that is
    completed is kept apart from its value."""
    words = environ.get(_WORDS, "").split("\n")  # as typer's function for bash puts them
    if environ.get(_SHELL) != "complete_bash" or "=" not in words:
        return
    words = words[: int(environ[_AT]) + 1]
    if words[-1] == "=":
        words.append("")
    joined: list[str] = []
    while words:
        if joined[-1:] == ["--set"] and words[1:2] == ["="]:
            if len(words) == 3:
                environ[_KEY] = words[0]
                joined.append(words[2])
            else:
                joined.append("".join(words[:3]))
            del words[:3]
        else:
            joined.append(words.pop(0))
    environ[_WORDS], environ[_AT] = "\n".join(joined), str(len(joined) - 1)


def settings(environ: MutableMapping[str, str], incomplete: str) -> list[str]:
    """What `--set` can go on with: after `join_words` of a value, the value alone."""
    from gradflow.config.overrides import settable

    key = environ.get(_KEY)
    if key is None:
        return settable(incomplete)
    return [text.removeprefix(f"{key}=") for text in settable(f"{key}={incomplete}")]


def cells(incomplete: str) -> list[str]:
    """The names of the cells that begin so."""
    from gradflow.cells import CELLS

    return [name for name in CELLS if name.startswith(incomplete)]
