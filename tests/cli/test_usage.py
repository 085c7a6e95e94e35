"""Help, usage, and what is wrong with a command line."""

from __future__ import annotations

import pytest

from command import main

SMALL = "cell: [rnn, lstm]\nsequence_length: 8\nhidden_size: 4\nbatch_size: 3\ninput_size: 2\n"
COMMANDS = ("analyze", "verify", "cells", "schema", "init")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    code, out, err = main(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: gradflow {command}")
    if command in ("analyze", "verify"):
        assert "CONFIG" in out
        assert "--set" in out


def test_help_teaches(capsys):
    code, out, _ = main(capsys, "--help")
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)
    for code in (0, 1, 2, 3, 130):
        assert f"\n    {code}  " in out
    assert "gradflow analyze gradflow.yaml --format csv > flow.csv" in out
    assert "--install-completion" in out
    assert main(capsys, "analyze", "--help")[1].count("gradflow analyze ") >= 5


def test_the_examples_of_the_help_work(config, capsys, monkeypatch):
    """Every `gradflow analyze` line of the help, on a small config of the name it uses."""
    import shlex

    text = main(capsys, "--help")[1] + main(capsys, "analyze", "--help")[1]
    for name in ("gradflow.yaml", "config.yaml"):
        (config.parent / name).write_text(SMALL.replace("[rnn, lstm]", "lstm"), encoding="utf-8")
    lines = [line.split("  ")[0] for line in map(str.strip, text.splitlines())]
    examples = [line for line in lines if line.startswith("gradflow analyze ")]
    assert len(examples) >= 6
    for example in examples:
        words = shlex.split(example.split(" | ")[0].split(" > ")[0])
        assert main(capsys, *words[1:])[0] == 0, example


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),
        (["analyse"], "No such command 'analyse'. Did you mean 'analyze'?"),
        (["analyze"], "Missing argument 'CONFIG'"),
        (["analyze", "c.yaml", "--formt", "csv"], "No such option: --formt"),
        (["analyze", "c.yaml", "--format", "xml"], "'xml' is not one of"),
        (["analyze", "c.yaml", "d.yaml"], "unexpected extra argument"),
        (["analyze", "c.yaml", "--set"], "requires an argument"),
        (["cells", "--nope"], "No such option: --nope"),
    ],
    ids=str,
)
def test_a_wrong_command_line_ends_with_2(config, capsys, arguments, message):
    code, out, err = main(capsys, *arguments)
    assert code == 2
    assert message in out + err
    assert "Traceback" not in err


def test_usage_has_no_braces(capsys):
    for words in (["analyze"], ["track"], ["compare"], ["cells"], ["init"], ["show"]):
        _, out, _ = main(capsys, *words, "--help")
        usage = out.splitlines()[0]
        assert not set(usage) & set("{}")
        assert "......" not in usage
        assert "[[" not in usage
    _, _, err = main(capsys, "analyze")
    assert "{" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--equations"], "--equations: needs the name of a cell: gradflow cells lstm --equations"),
        (["--numpy"], "--numpy: needs the name of a cell: gradflow cells lstm --numpy"),
        (["lstmm"], "cells: there is no cell 'lstmm': did you mean lstm"),
        (["qqq"], "cells: there is no cell 'qqq': expected one of "),
    ],
    ids=str,
)
def test_cells_says_what_it_needs(arguments, message, capsys):
    code, out, err = main(capsys, "cells", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("analyze", "lstm"), "lstm: error: no such file; a config may come in a pipe, "
                              "echo 'cell: lstm' | gradflow analyze -"),
        (("verify", "cell: gru"), "cell: gru: error: no such file; a config may come in a pipe, "
                                  "echo 'cell: gru' | gradflow analyze -"),
        (("analyze", "c.yaml", "--seed", "3"),
         "No such option: --seed; seed is a key of the config: --set seed=..."),
        (("check", "c.yaml", "--hidden-size=3"),
         "--hidden-size; hidden_size is a key of the config: --set hidden_size=..."),
        (("inspect", "c.yaml", "--seed", "3"), "No such option: --seed"),
        (("analyze", "c.yaml", "--outputs", "3"), "No such option: --outputs"),
    ],
)  # fmt: skip
def test_what_a_newcomer_may_type(config, capsys, arguments, message):
    code, out, err = main(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert ("--set" in err) == ("--set" in message)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("analyze", "c.yaml", "--jobs", "abc"), 'expected a whole number, found "abc"'),
        (("analyze", "c.yaml", "-j", "2.5"), "expected a whole number, found 2.5"),
        (("analyze", "c.yaml", "-j", "0"), "expected at least 1, found 0"),
        (("analyze", "c.yaml", "--cores", "["), 'expected a whole number, found "["'),
        (("check", "c.yaml", "--tolerance", "x"), 'expected a number, found "x"'),
        (("critical", "c.yaml", "--between", "3", "2"), "--between: expected two numbers, the"),
        (("critical", "c.yaml", "--vary", "ws_scal"), "--vary: 'ws_scal' cannot be varied: did"),
        (("critical", "c.yaml", "--between", "1", "b"), 'expected a number, found "b"'),
        (("analyze", "c.yaml", "--theme", "blue"), 'expected auto, light or dark, found "blue"'),
        (("analyze", "c.yaml", "--rows", "run"), 'found "run"; did you mean runs?'),
        (("analyze", "c.yaml", "--over", "cell"), 'expected seed, found "cell"'),
        (("schema", "--of", "foo"), 'expected config or results, found "foo"'),
    ],
)
def test_what_an_option_cannot_be_is_said_in_the_words_of_the_config(config, capsys, given, said):
    code, out, err = main(capsys, *given)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Input should" not in err


@pytest.mark.parametrize(("name", "meant"), [("LSTM", "lstm"), ("mamba", "s6"), ("ltsm", "lstm")])
def test_cells_knows_what_was_meant(capsys, name, meant):
    code, _, err = main(capsys, "cells", name)
    assert code == 2
    assert err.endswith(f"did you mean {meant}?\n")
