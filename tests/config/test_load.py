from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN
from gradflow.config.load import from_mapping, load
from gradflow.config.numbers import MOST_RUNS
from gradflow.errors import InputError
from gradflow.runs import sampling
from gradflow.runs.losses import objective

AS_EVER = {"at": "last", "reduce": "mean"}


@pytest.fixture
def write(tmp_path):
    """Writes a config, and next to it arrays by file name; gives its path."""

    def write(text, **arrays):
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "c.yaml"

    return write


def messages(config, *overrides):
    with pytest.raises(InputError) as caught:
        load(config, overrides) if not isinstance(config, dict) else from_mapping(config)
    return [fault.message for fault in caught.value.faults]


def test_every_default_is_that_of_the_documentation():
    [run] = from_mapping({"cell": "rnn"}).runs
    assert (
        run.axes.items()
        >= {
            "cell": "rnn",
            "sequence_length": 100,
            "hidden_size": 64,
            "input_size": 16,
            "batch_size": 32,
            "ws_init": "gaussian",
            "ws_scale": 1.0,
            "wx_init": "gaussian",
            "wx_scale": 1.0,
            "bias_scale": 0.0,
            "seed": 0,
        }.items()
    )
    assert (run.output_size, run.dtype) == (1, "float64")
    assert (run.input.kind, run.input.scale, run.initial_state.kind) == ("gaussian", 1.0, "zeros")
    assert (run.loss.kind, run.loss.target) == ("mse", None)
    experiment = from_mapping({"cell": "rnn"})
    assert (experiment.lags, experiment.thresholds) == ("auto", (1e-3, 1e3))


def test_a_sweep_runs_every_combination_in_the_order_of_the_documentation(write):
    config = "seed: [0, 1]\nws_scale: [0.5, 1]\ncell: [rnn, {type: gru, reset: before}]\n"
    experiment = load(write(config))
    points = [(r.cell, r.ws_scale, r.seed) for r in experiment.runs]
    cells = (RNN(), GRU(reset="before"))
    assert points == [(cell, g, seed) for cell in cells for g in (0.5, 1.0) for seed in (0, 1)]
    assert experiment.varied == ("cell", "ws_scale", "seed")


def test_numbers_are_those_of_yaml_1_2(write):
    [run] = load(write("cell: rnn\nws_scale: 1e-3\nsequence_length: 1e2\nseed: 017\n")).runs
    assert (run.ws_scale, run.sequence_length, run.seed) == (1e-3, 100, 17)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ws_scale=2", {"ws_scale": 2.0}),
        ("ws_scale=[2, 3]", {"ws_scale": [2.0, 3.0]}),
        ("ws_scale=1e-3", {"ws_scale": 1e-3}),
        ("title=no", {"title": "no"}),
        ("title=a=b", {"title": "a=b"}),
        ("cell.forget_bias=1", {"cell": {"type": "lstm", **LSTM().options, "forget_bias": 1.0}}),
        ("cell.type=gru", {"cell": {"type": "gru", **GRU().options}}),
        ("hidden_size[1]=5", {"hidden_size": [4, 5]}),
        ("hidden_size.0=5", {"hidden_size": [5, 8]}),
        ("loss.target=0.5", {"loss": {"kind": "mse", "target": 0.5, **AS_EVER}}),
        ("loss.kind=sum", {"loss": {"kind": "sum", **AS_EVER}}),
        ("loss.at=all", {"loss": {"kind": "mse", "at": "all", "reduce": "mean"}}),
        ("loss.at.every=5", {"loss": {"kind": "mse", "at": {"every": 5}, "reduce": "mean"}}),
        ("input.scale=0.3", {"input": {"kind": "gaussian", "scale": 0.3}}),
        ("thresholds.vanishing=0.1", {"thresholds": {"vanishing": 0.1, "exploding": 1000.0}}),
        ("lags=[3, 1]", {"lags": [3, 1]}),
    ],
)
def test_set_puts_a_value_over_the_files(write, override, expected):
    config = load(write("cell: lstm\nhidden_size: [4, 8]\n"), [override]).config
    assert {key: config[key] for key in expected} == expected


def test_later_sets_build_on_earlier_ones(write):
    config = write("cell: [rnn, gru]")
    experiment = load(config, ["cell[1]=lstm", "cell[1].forget_bias=2", "seed=3", "seed=4"])
    assert [run.cell for run in experiment.runs] == [RNN(), LSTM(forget_bias=2.0)]
    assert experiment.runs[0].seed == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ws_scale", "expected KEY=VALUE, such as ws_scale=1.5"),
        ("=3", "expected KEY=VALUE, such as ws_scale=1.5"),
        ("ws_scal=1", "unknown key; did you mean ws_scale?"),
        ("cell[2]=rnn", "there is no item 2 to set"),
        ("cell.type=rnn", "a list: put the number of an item before type, or set it whole"),
        ("cell[1].forget_bais=1", "unknown key; did you mean forget_bias?"),
        ("seed=[1", "did not find expected ',' or ']' while parsing a flow sequence that began on"
         " line 1"),
        ("seed=", "expected a whole number, found nothing"),
        ("seed.x=1", 'expected a whole number, found {"x": 1}'),
        ("a." * 2000 + "b=1", "nested too deeply: expected at most 64 names"),
        ("input.file=no.npy", "{folder}/no.npy: no such file"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_set_that_is_wrong_is_named(write, override, message):
    config = write("cell: [rnn, lstm]\n")
    with pytest.raises(InputError) as caught:
        load(config, [override])
    [fault] = caught.value.faults
    assert fault.message == message.replace("{folder}", str(config.parent))
    assert fault.source.startswith("--set " + override[:20])


def test_config_from_standard_input(monkeypatch):
    class Piped:
        buffer = io.BytesIO(b"cell: rnn\nseed: x\n")

    monkeypatch.setattr(sys, "stdin", Piped)
    with pytest.raises(
        InputError, match=r'^-:2:7: error: seed: expected a whole number, found "x"'
    ):
        load("-")


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 3)])
def test_sizes_come_from_the_input_file(write, shape):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    [run] = load(write("cell: rnn\ninput: {file: x.npy}\n", x=values)).runs
    assert (run.sequence_length, run.input_size) == (6, 3)
    assert run.batch_size == (1 if len(shape) == 2 else 2)
    np.testing.assert_array_equal(sampling.inputs(run), values.reshape(6, -1, 3))


def test_a_shorter_sequence_takes_the_files_first_steps(write):
    values = np.arange(12.0).reshape(6, 2)
    config = write("cell: rnn\ninput: {file: x.npy}\nsequence_length: [2, 6]\n", x=values)
    short, whole = (sampling.inputs(run)[:, 0] for run in load(config).runs)
    np.testing.assert_array_equal(short, values[:2])
    np.testing.assert_array_equal(whole, values)


def test_csv_columns_standardized_and_cut_into_windows(write):
    config = write(
        "cell: rnn\ninput: {file: s.csv, columns: [b], standardize: true, window: 3, stride: 2}\n"
    )
    rows = "".join(f"{n},{n * n}\n" for n in range(8))
    (config.parent / "s.csv").write_text("a,b\n" + rows, encoding="utf-8")
    [run] = load(config).runs
    b = np.arange(8.0) ** 2
    b = (b - b.mean()) / b.std()
    expected = np.stack([b[0:3], b[2:5], b[4:7]], axis=1)[..., None]
    np.testing.assert_allclose(sampling.inputs(run), expected, rtol=1e-12)


def test_the_array_of_an_npz_is_picked_by_key(write):
    config = write("cell: rnn\ninput: {file: x.npz, key: b}\n")
    np.savez(config.parent / "x.npz", a=np.zeros((3, 1)), b=np.ones((4, 2)))
    [run] = load(config).runs
    assert sampling.inputs(run).shape == (4, 1, 2)
    assert (
        "expected key to name one of the arrays, found 'a', 'b'"
        in messages(config, "input={file: x.npz}")[0]
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("sequence_length: [3, 9]", "expected at most 6, the steps in x.npy, found 9"),
        ("input_size: 4", "expected 3, which x.npy has, found 4: leave the key out"),
        ("batch_size: 4", "expected 2, which x.npy has, found 4: leave the key out"),
        ("loss: {kind: mse, target: y.npy}", "expected y.npy to be of shape (2, 1), found (5, 1)"),
        ("lags: [7]", "expected at most 6, the sequence_length, found 7"),
    ],
)
def test_what_contradicts_the_input_file_is_refused(write, keys, message):
    config = f"cell: rnn\ninput: {{file: x.npy}}\n{keys}\n"
    assert messages(write(config, x=np.ones((6, 2, 3)), y=np.ones((5, 1)))) == [message]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("hole.csv", "1,2\n3,\n5,6\n", "hole.csv:2:3: error: input.file: expected a number"),
        ("nan.csv", "1,2\nnan,4\n", "nan.csv:2:1: error: input.file: expected a finite number"),
        ("ragged.csv", "1,2\n3,4,5\n", "ragged.csv:2:1: error: input.file: expected 2 fields"),
        ("header.csv", "a,b\n", "c.yaml:2:15: error: input.file: header.csv: expected rows"),
        ("empty.csv", "", "c.yaml:2:15: error: input.file: empty.csv: the file is empty"),
        ("junk.npy", "\x00junk", "c.yaml:2:15: error: input.file: junk.npy: the file is not a"),
        ("junk.npz", "\x00junk", "c.yaml:2:15: error: input.file: junk.npz: not a .npz file"),
        (
            "a.txt",
            "1",
            "c.yaml:2:15: error: input.file: a.txt: expected a .csv, .tsv, .npy or",
        ),
        ("folder.csv", None, "c.yaml:2:15: error: input.file: folder.csv: expected a file, found"),
    ],
)
def test_damaged_input_files_are_told_by_place(write, monkeypatch, name, content, place):
    config = write(f"cell: rnn\ninput: {{file: {name}}}\n")
    monkeypatch.chdir(config.parent)
    if content is None:
        (config.parent / name).mkdir()
    else:
        (config.parent / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load("c.yaml")
    assert str(caught.value).startswith(place)


def test_a_header_line_of_a_csv_is_accepted(write):
    config = write("cell: rnn\ninput: {file: s.csv}\n")
    (config.parent / "s.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    [run] = load(config).runs
    np.testing.assert_array_equal(run.input.values[:, 0], [[1, 2], [3, 4]])


def test_targets_from_a_file(write):
    keys = "cell: rnn\nbatch_size: 3\noutput_size: {}\nloss: {{kind: {}, target: y.npy}}\n"
    Y = np.arange(6.0).reshape(3, 2)
    [run] = load(write(keys.format(2, "mse"), y=Y)).runs
    np.testing.assert_array_equal(run.loss.target, Y)
    [run] = load(write(keys.format(4, "cross_entropy"), y=np.array([0, 3, 1]))).runs
    np.testing.assert_array_equal(np.ravel(run.loss.target), [0, 3, 1])
    assert messages(write(keys.format(2, "cross_entropy"), y=np.array([0, 3, 1]))) == [
        "expected classes from 0 to 1 in y.npy"
    ]


KEYS = "cell: rnn\nsequence_length: {}\nbatch_size: {}\noutput_size: {}\nloss: {}\n"
MSE = "{{kind: mse, at: {}, target: y.npy}}"


@pytest.mark.parametrize(
    ("T", "N", "O", "at", "shape"),
    [
        (7, 3, 2, "all", (7, 3, 2)),
        (7, 3, 2, "all", (9, 3, 2)),  # a row for each step of a longer input
        (7, 3, 2, "[2, 5]", (2, 3, 2)),
        (7, 3, 2, "[2, 5]", (7, 3, 2)),
        ("[7, 4]", 3, 2, "all", (7, 3, 2)),
        (7, 3, 1, "{every: 3}", (2, 3)),
        (7, 1, 2, "all", (7, 2)),
        (7, 1, 1, "all", (7,)),
        (7, 1, 1, "all", (7, 1)),
        (7, 3, 2, "all", (3, 2)),  # one for all steps
    ],
    ids=str,
)
def test_targets_for_each_step(write, T, N, O, at, shape):  # noqa: E741
    Y = np.arange(float(np.prod(shape))).reshape(shape)
    for run in load(write(KEYS.format(T, N, O, MSE.format(at)), y=Y)).runs:
        n = len(run.loss_steps)
        s = {(0, 0): np.zeros((n, N, 64))}
        losses = objective(run).value(s, slice(None))
        rows = Y.reshape(-1, N, O) if shape != (N, O) else np.stack([Y] * n)
        if len(rows) != n:
            rows = rows[run.loss_steps - 1]
        np.testing.assert_allclose(losses, 0.5 * (rows**2).sum(axis=-1), rtol=1e-13)


def test_a_target_goes_with_the_step_that_is_listed_at_its_place(write):
    Y = np.arange(12.0).reshape(2, 3, 2)
    for at, order in (("[2, 5]", [0, 1]), ("[5, 2]", [1, 0])):
        [run] = load(write(KEYS.format(7, 3, 2, MSE.format(at)), y=Y)).runs
        assert run.loss_steps.tolist() == [2, 5]
        np.testing.assert_array_equal(run.loss.target, Y[order])


def test_classes_for_each_step(write):
    keys = KEYS.format(5, 3, 4, "{kind: cross_entropy, at: all, target: y.npy}")
    y = np.arange(15).reshape(5, 3) % 4
    [run] = load(write(keys, y=y)).runs
    np.testing.assert_array_equal(run.loss.target[..., 0], y)
    assert messages(write(keys, y=y + 1)) == ["expected classes from 0 to 3 in y.npy"]


@pytest.mark.parametrize(
    ("at", "shape", "expected"),
    [
        ("all", (7, 2, 2), "expected y.npy to be of shape (3, 2), or (T', 3, 2) for each step,"
         " found (7, 2, 2)"),
        ("all", (6, 3, 2), "y.npy has 6 rows of targets: expected 7, one for each step of the"
         " loss"),
        ("[2, 5]", (3, 3, 2), "y.npy has 3 rows of targets: expected 2, one for each step of the"
         " loss, or at least 7, a row for each step"),
        ("last", (7, 3, 2), "y.npy has 7 rows of targets: the loss is read at the last step alone;"
         " say `at: all` to use them"),
    ],
    ids=str,
)  # fmt: skip
def test_targets_of_another_shape(write, at, shape, expected):
    assert messages(write(KEYS.format(7, 3, 2, MSE.format(at)), y=np.zeros(shape))) == [expected]


@pytest.mark.parametrize(
    "key", ["sequence_length", "hidden_size", "batch_size", "input_size", "output_size"]
)
def test_sizes_that_do_not_fit_name_the_bytes_and_the_key(key):
    for size in (10**9, 10**15, 2**62):
        [message] = messages({"cell": "lstm", key: size})
        assert " bytes (" in message
        assert message.endswith(f"lower {key}")


def test_a_sweep_of_too_many_runs_is_refused_before_it_is_made():
    thousand = list(range(1000))
    [message] = messages(
        {"cell": "rnn", "seed": thousand * 2, "ws_scale": [float(n) for n in thousand]}
    )
    assert message == f"expected at most {MOST_RUNS:,} runs in all, found 2,000,000"


def test_plain_data_of_numpy_and_tuples_is_taken():
    runs = from_mapping({"cell": ("rnn", "gru"), "ws_scale": np.linspace(0, 1, 3)}).runs
    assert [run.ws_scale for run in runs] == [0.0, 0.5, 1.0] * 2
    assert messages({"cell": "rnn", "seed": np.float64(0.5)}) == [
        "expected a whole number, found 0.5"
    ]


@pytest.mark.parametrize("data", [3, None, ["rnn"], "rnn"])
def test_what_is_no_mapping_is_no_config(write, data):
    text = {3: "3", None: "# nothing\n", "rnn": "rnn"}.get(
        data if not isinstance(data, list) else 0, "- rnn"
    )
    assert messages(write(text))[0].startswith("expected")
