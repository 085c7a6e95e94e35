from __future__ import annotations

import pytest

import gradflow
from gradflow.cells import CELLS
from gradflow.config.load import load
from gradflow.errors import InputError


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """The faults found in the text of a config, as they are shown."""
    monkeypatch.chdir(tmp_path)

    def find(text, *overrides):
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            load("c.yaml", overrides)
        return [str(fault) for fault in caught.value.faults]

    return find


NAMES = " or ".join(", ".join(CELLS).rsplit(", ", 1))
CELL = f"{', '.join(CELLS)} or a mapping such as {{type: lstm, forget_bias: 1}}"
STEPS = "last, all, a list of steps or a mapping such as {every: 10}"
INPUT = "gaussian, zeros or a mapping such as {file: series.csv}"


def test_the_error_of_pydantic_is_not_shown_before_ours():
    with pytest.raises(InputError) as caught:
        gradflow.load({"cell": "rnn", "layers": -1})
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hiden_size: 3", "1:1: error: hiden_size: unknown key; did you mean hidden_size?"),
        ("Seed: 3", "1:1: error: Seed: unknown key; did you mean seed?"),
        ("xyzzy: 3", "1:1: error: xyzzy: unknown key"),
        ("lags: [1, x]", '1:11: error: lags[1]: expected a whole number, found "x"'),
        ("lags: 3", "1:7: error: lags: expected auto, all or a list of lags, found 3"),
        ("lags: some", '1:7: error: lags: expected auto, all or a list of lags, found "some"'),
        ("lags: []", "1:7: error: lags: expected at least one value, found []"),
        ("lags: [500]",
         "1:8: error: lags[0]: expected at most 100, the sequence_length, found 500"),
        ("hidden_size:", "1:13: error: hidden_size: expected a whole number, found nothing"),
        ("hidden_size: 1.5", "1:14: error: hidden_size: expected a whole number, found 1.5"),
        ("batch_size: 0", "1:13: error: batch_size: expected at least 1, found 0"),
        ("hidden_size: [9, 0]", "1:18: error: hidden_size[1]: expected at least 1, found 0"),
        ("ws_scale: .nan", "1:11: error: ws_scale: expected a finite number, found .nan"),
        ("ws_scale: 1e300", "1:11: error: ws_scale: expected at most 1e+100, found 1e+300"),
        ("wx_init: Uniform", "1:10: error: wx_init: expected gaussian, orthogonal, identity, "
         "uniform, glorot, fused_orthogonal or fused_glorot, found \"Uniform\"; "
         "did you mean uniform?"),
        ("seed: no", '1:7: error: seed: expected a whole number, found "no"'),
        ("seed: 99999999999999999999", "1:7: error: seed: expected less than 9223372036854775808,"
         " found 99999999999999999999"),
        ("title: 2024", "1:8: error: title: expected text, found 2024"),
        ("thresholds: 3", "1:13: error: thresholds: expected a mapping such as"
         " {vanishing: 1e-3, exploding: 1e3}, found 3"),
        ("thresholds: {vanish: 0.1}",
         "1:14: error: thresholds.vanish: unknown key; did you mean vanishing?"),
        ("thresholds: {exploding: 0.5}",
         "1:25: error: thresholds.exploding: expected more than 1, found 0.5"),
        ("input: 5", f"1:8: error: input: expected {INPUT}, found 5"),
        ("input: {scale: 2}", f'1:8: error: input: expected {INPUT}, found {{"scale": 2}}'),
        ("input: gausian", '1:8: error: input: expected gaussian or zeros, found "gausian";'
         " did you mean gaussian?"),
        ("input: a.csv", '1:8: error: input: expected gaussian or zeros, found "a.csv";'
         " for a file write {file: a.csv}"),
        ("input: {fil: a.csv}", "1:9: error: input.fil: unknown key; did you mean file?"),
        ("input: {file: a.csv, colums: [0]}",
         "1:22: error: input.colums: unknown key; did you mean columns?"),
        ("input: {file: a.csv, columns: [a, 2.5]}", "1:35: error: input.columns[1]: expected"
         " the name or the number of a column, found 2.5"),
        ("input: {kind: zeros, scale: 2}", "1:22: error: input.scale: unknown key; known are kind"),
        ("input: {kind: [zeros]}", "1:15: error: input.kind: expected gaussian or zeros,"
         ' found ["zeros"]'),
        ("initial_state: {kind: gausian}", "1:23: error: initial_state.kind: expected gaussian or"
         ' zeros, found "gausian"; did you mean gaussian?'),
        ("loss: mes", '1:7: error: loss: expected mse, cross_entropy, probe or sum, found "mes";'
         " did you mean mse?"),
        ("loss: {kind: mse, traget: 1}",
         "1:19: error: loss.traget: unknown key; did you mean target?"),
        ("loss: {target: 1}", "1:7: error: loss.kind: this key is required"),
        ("loss: {kind: sum, target: 1}",
         "1:7: error: loss: the loss sum has no target: leave `target` out"),
        ("loss: {kind: mse, target: [1]}",
         "1:27: error: loss.target: expected a number or the name of a file, found [1]"),
        ("loss: cross_entropy",
         "1:7: error: loss: cross_entropy needs at least two classes: set output_size"),
        ("{output_size: 3, loss: {kind: cross_entropy, target: 3}}",
         "1:54: error: loss.target: expected a class from 0 to 2, found 3"),
        ("loss: {kind: mse, target: no.npy}", "1:27: error: loss.target: no.npy: no such file"),
        ("loss: {kind: mse, at: 5}", f"1:23: error: loss.at: expected {STEPS}, found 5"),
        ("loss: {kind: mse, at: al}", f'1:23: error: loss.at: expected {STEPS}, found "al"'),
        ("loss: {kind: mse, at: []}",
         "1:23: error: loss.at: expected at least one value, found []"),
        ("loss: {kind: mse, at: [1, 0]}",
         "1:27: error: loss.at[1]: expected at least 1, found 0"),
        ("loss: {kind: mse, at: [2.5]}",
         "1:24: error: loss.at[0]: expected a whole number, found 2.5"),
        ("loss: {kind: mse, at: [3, 7, 3]}",
         "1:30: error: loss.at[2]: step 3 is there twice: leave one of them out"),
        ("loss: {kind: mse, at: [7, 101]}", "1:27: error: loss.at[1]: expected at most 100, the"
         " sequence_length, found 101: leave it out, or raise sequence_length"),
        ("loss: {kind: mse, at: {every: 0}}",
         "1:31: error: loss.at.every: expected at least 1, found 0"),
        ("loss: {kind: mse, at: {every: 101}}", "1:31: error: loss.at.every: expected at most 100,"
         " the sequence_length, found 101: there would be no step to read the loss at"),
        ("loss: {kind: mse, at: {every: 2, evry: 2}}",
         "1:34: error: loss.at.evry: unknown key; did you mean every?"),
        ("loss: {kind: mse, at: {}}", "1:23: error: loss.at.every: this key is required"),
        ("loss: {kind: mse, truncate: 0}",
         "1:29: error: loss.truncate: expected at least 1, found 0"),
        ("loss: {kind: mse, truncate: 101}", "1:29: error: loss.truncate: expected at most 100, the"
         " sequence_length, found 101: leave it out where nothing is to be cut off"),
        ("loss: {kind: mse, reduce: men}",
         '1:27: error: loss.reduce: expected mean or sum, found "men"; did you mean mean?'),
        ("{sequence_length: [50, 10], loss: {kind: mse, at: [3, 20]}}",
         "1:55: error: loss.at[1]: expected at most 10, the shortest sequence_length, found 20:"
         " leave it out, or raise sequence_length"),
        ("input: {file: no.csv}", "1:15: error: input.file: no.csv: no such file"),
        ("dtype: float16", '1:8: error: dtype: expected float64 or float32, found "float16";'
         " did you mean float64?"),
    ],
)  # fmt: skip
def test_one_clear_message_where_the_fault_is(faults, text, expected):
    cell = "\ncell: rnn" if not text.startswith("{") else ""
    text = text + cell if cell else text.replace("{", "{cell: rnn, ", 1)
    column = 0 if cell else len("cell: rnn, ")
    place, _, rest = expected.partition(": ")
    line, at = map(int, place.split(":"))
    assert faults(text) == [f"c.yaml:{line}:{at + column}: {rest}"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", f"6: error: cell: expected {CELL}, found nothing"),
        ("3", f"7: error: cell: expected {CELL}, found 3"),
        ("[]", "7: error: cell: expected at least one value, found []"),
        ("[rnn, [gru]]", f'13: error: cell[1]: expected {CELL}, found ["gru"]'),
        ("{forget_bias: 1}", f'7: error: cell: expected {CELL}, found {{"forget_bias": 1}}'),
        ("{typ: gru}", "8: error: cell.typ: unknown key; did you mean type?"),
        ("RNN", f'7: error: cell: expected {NAMES}, found "RNN"; did you mean rnn?'),
        ("[rnn, {type: lstn}]",
         f'20: error: cell[1].type: expected {NAMES}, found "lstn"; did you mean lstm?'),
        ("[rnn, {type: lstm, forget_bais: 1}]",
         "26: error: cell[1].forget_bais: unknown key; did you mean forget_bias?"),
        ("{type: rnn, activation: tahn}", "31: error: cell.activation: expected tanh, linear, relu"
         ' or sigmoid, found "tahn"; did you mean tanh?'),
        ("{type: gru, update_bias: big}",
         '32: error: cell.update_bias: expected a number, found "big"'),
    ],
)  # fmt: skip
def test_a_cell_that_is_none_says_what_would_be_one(faults, cell, expected):
    assert faults(f"cell: {cell}".rstrip()) == [f"c.yaml:1:{expected}"]


def test_without_a_cell_the_message_shows_one(faults):
    assert faults("seed: 1") == [f"c.yaml:1:1: error: cell: this key is required: expected {CELL}"]


def test_all_faults_are_told_at_once_in_the_order_of_the_file(faults):
    text = "cell: lstn\nhiden_size: 8\nseed: 1\nseed: -2\nws_scale: &a [1, x]\ninput: {fil: 3}\n"
    assert faults(text, "wx_scale=y", "bias_scale=-1") == [
        '--set wx_scale=y: error: wx_scale: expected a number, found "y"',
        "--set bias_scale=-1: error: bias_scale: expected at least 0, found -1",
        f'c.yaml:1:7: error: cell: expected {NAMES}, found "lstn"; did you mean lstm?',
        "c.yaml:2:1: error: hiden_size: unknown key; did you mean hidden_size?",
        "c.yaml:4:1: error: seed: the key is given twice: on line 3 and on line 4",
        "c.yaml:4:7: error: seed: expected at least 0, found -2",
        "c.yaml:5:11: error: ws_scale: anchors and aliases are not read, found &a:"
        " write the value itself",
        'c.yaml:5:18: error: ws_scale[1]: expected a number, found "x"',
        "c.yaml:6:9: error: input.fil: unknown key; did you mean file?",
    ]


def test_what_the_yaml_reader_refused_is_not_refused_again(faults):
    assert len(faults("cell: rnn\nseed: !!int 3\nhidden_size: *a\n1: 2\n")) == 3


def test_nothing_in_a_message_acts_on_a_terminal(faults):
    [message] = faults('cell: rnn\n"\\e[31mred": "\\e[0m"\n')
    assert message.isprintable()
    [message] = faults("cell: rnn", "seed=\x1b[31m")
    assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cell: SimpleRNN", "did you mean rnn?"),
        ("cell: {type: mamba}", "did you mean s6?"),
        ("ws_init: xavier", "did you mean glorot?"),
        ("ws_init: glorot_uniform", "did you mean glorot?"),
        ("wx_init: normal", "did you mean gaussian?"),
        ("ws_init: he", "did you mean gaussian with a scale of 1.414?"),
        ("ws_init: eye", "did you mean identity?"),
        ("dtype: double", "did you mean float64?"),
        ("initial_state: s0.npz", "for a file write {file: s0.npz}"),
    ],
)
def test_a_value_by_the_name_that_others_have_for_it(faults, text, said):
    [fault] = faults(text if text.startswith("cell") else f"cell: rnn\n{text}")
    assert fault.endswith(said)


def test_a_loss_is_no_cell(faults):
    [fault] = faults("cell: ce")
    assert "cross_entropy" not in fault


def test_results_are_no_config_and_show_is_what_shows_them(faults, tmp_path):
    gradflow.analyze({"cell": "rnn", "sequence_length": 3}).save(tmp_path / "c.json")
    [fault] = faults((tmp_path / "c.json").read_text())
    assert fault == "c.yaml: error: these are results: gradflow show c.yaml shows them"
