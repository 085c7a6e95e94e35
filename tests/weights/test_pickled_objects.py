"""Pickles of whole objects: the tensors within are read, and nothing of the objects is run."""

from __future__ import annotations

import pickle
import random
import sys
import types
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import weight_writers as writers
from weight_writers import dictionary, tensor, text

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

LSTM = writers.lstm_arrays()


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickled_dictionary_of_arrays(tmp_path, protocol):
    tensors = read(writers.write_pickle(tmp_path / "net.pkl", LSTM, protocol))
    assert list(tensors) == list(LSTM)
    for name, array in LSTM.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)
    assert choose_net(tensors)[0].cell == "lstm"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f8", ">f4", "f2", "i8", "?", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_kind(tmp_path, protocol, dtype, order):
    array = np.asarray(np.arange(600).reshape(20, 30) % 7, order=order).astype(dtype)
    content = {"w": np.asarray(array, order=order), "scalar": np.array(3.0), "none": array[:0]}
    tensors = read(writers.write_pickle(tmp_path / "net.pkl", content, protocol))
    assert tensors["w"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(tensors["w"], array)
    assert tensors["scalar"] == 3.0
    assert tensors.shape("none") == (0, 30)


def test_arrays_as_python_2_wrote_them(tmp_path):
    """Its strings are bytes: in protocol 0 with escapes, in protocol 2 as they are."""
    numbers = np.arange(4, dtype="<f4")
    raw = numbers.tobytes()
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I4\nt"
    dtype = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    escaped = b"S'" + b"".join(b"\\x%02x" % byte for byte in raw) + b"'\n"
    short = b"U" + bytes([len(raw)]) + raw
    for data in (escaped, short):
        path = tmp_path / "net.pkl"
        path.write_bytes(b"\x80\x02}S'w'\n" + start + dtype + b"I00\n" + data + b"tbs.")
        np.testing.assert_array_equal(read(path)["w"], numbers)


class Anything:
    """A class that is not there when its pickle is read."""


@pytest.fixture
def gone(monkeypatch):
    """Pickles an object of a class whose module then is gone."""
    module = types.ModuleType("of_a_package_that_is_not_here")
    Anything.__module__, module.Anything = module.__name__, Anything

    def made(**attributes):
        thing = Anything()
        thing.__dict__.update(attributes)
        return thing

    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield made
    Anything.__module__ = __name__


def kept(tmp_path, content, protocol=2):
    path = writers.write_pickle(tmp_path / "net.pkl", content, protocol)
    module = sys.modules.pop("of_a_package_that_is_not_here", None)
    try:
        return read(path)
    finally:
        if module:
            sys.modules[module.__name__] = module


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_tensors_within_objects_have_the_names_of_their_attributes(tmp_path, gone, protocol):
    content = {"net": gone(rnn=gone(weights=LSTM, size=4), name="x"), "epoch": 3}
    tensors = kept(tmp_path, content, protocol)
    assert list(tensors) == [f"net.rnn.weights.{name}" for name in LSTM]


def test_a_whole_module_has_the_names_of_its_state_dict(tmp_path, gone):
    parameters = OrderedDict((n.removeprefix("rnn."), a) for n, a in LSTM.items())
    flat = list(parameters.values())
    held = {"_parameters": parameters, "_buffers": OrderedDict(), "_modules": OrderedDict()}
    rnn = gone(**held, mode="LSTM", hidden_size=4, _flat_weights=flat, training=True)
    outer = {"_parameters": OrderedDict(), "_buffers": {"mean": np.zeros(3, "f4")}}
    net = gone(**outer, _modules=OrderedDict(rnn=rnn), training=True)
    tensors = kept(tmp_path, net)
    assert list(tensors) == ["mean", *LSTM]
    assert tensors.attributes["modules"]["rnn"]["mode"] == "LSTM"
    assert choose_net(tensors)[0].prefix == "rnn"


def test_what_stands_beside_the_state_dict_does_no_harm(tmp_path, gone):
    others = {
        "random": random.Random(1).getstate(),
        "numpy": np.random.RandomState(1),
        "generator": np.random.default_rng(1),
        "config": gone(path="x", nested=gone()),
        "callbacks": {Anything: {"best": 1.0}},
        "names": {"a", "b"},
        "frozen": frozenset({1}),
        "counts": defaultdict(list),
        "complex": 1j,
        "slice": slice(1, 2),
        "type": dict,
    }
    for content in ({**others, "state_dict": LSTM}, {"state_dict": LSTM, **others}):
        for protocol in (0, 2, 4):
            assert list(kept(tmp_path, content, protocol)) == list(LSTM)


def test_a_wrapper_without_tensors_hides_nothing(tmp_path, gone):
    for empty in ({}, {"name": "lstm"}, gone(name="lstm"), "lstm", None, [1, 2]):
        content = {"model": empty, "generator": LSTM}
        assert choose_net(kept(tmp_path, content))[0].prefix == "generator.rnn"


def test_a_wrapper_with_tensors_does_not_hide_another_net(tmp_path):
    """Its own names stay short; all stay long where short ones would clash."""
    path = tmp_path / "net.pt"
    decoder = {"weight_hh_l0": tensor("0", "Float", 2, (2, 1), (1, 1))}
    inner = {"rnn.weight_hh_l0": tensor("0", "Float", 2, (2, 1), (1, 1))}
    for own, names in (
        ({"decoder": decoder}, ["rnn.weight_hh_l0", "decoder.weight_hh_l0"]),
        ({"rnn": decoder}, ["model.rnn.weight_hh_l0", "rnn.weight_hh_l0"]),
        ({"optimizer": {"param_groups": b"N", "state": dictionary(decoder)}}, ["rnn.weight_hh_l0"]),
        ({"loss": {"best": tensor("0", "Float", 2, (2,), (1,))}}, ["rnn.weight_hh_l0"]),
    ):
        others = {key: dictionary(value) for key, value in own.items()}
        content = dictionary({"model": dictionary(inner), **others})
        assert list(read(writers.write_torch_parts(path, content, {"0": bytes(8)}))) == names


def test_lists_of_dictionaries(tmp_path):
    moments = {"state": {0: {"exp_avg": LSTM["rnn.weight_hh_l0"]}}, "param_groups": [{"lr": 1}]}
    for content in ([LSTM, moments], (LSTM, moments), {"model": [LSTM]}, [3, {"state_dict": LSTM}]):
        assert list(kept(tmp_path, content)) == list(LSTM)
    assert list(kept(tmp_path, [LSTM, {"w": np.ones(3)}]))[-2:] == ["0.rnn.bias_hh_l0", "1.w"]


MOMENTS = {
    "adam": {"exp_avg": LSTM["rnn.weight_hh_l0"], "exp_avg_sq": LSTM["rnn.weight_hh_l0"]},
    "sgd": {"momentum_buffer": LSTM["rnn.weight_hh_l0"]},
    "rmsprop": {"square_avg": LSTM["rnn.weight_hh_l0"], "step": 1},
}


@pytest.mark.parametrize("name", MOMENTS)
def test_the_moments_of_an_optimizer_are_no_weights(tmp_path, gone, name):
    state = {"state": {0: MOMENTS[name], 1: MOMENTS[name]}, "param_groups": [{"params": [0, 1]}]}
    by_name = {"state": {"rnn.weight_hh_l0": MOMENTS[name]}, "param_groups": []}
    for optimizer in (state, by_name, state["state"], [state, state], gone(**state)):
        for key in ("optimizer", "optim_g", "optimizer_states", "other"):
            content = {"generator": LSTM, key: optimizer}
            assert list(kept(tmp_path, content)) == [f"generator.{one}" for one in LSTM]


def test_an_object_without_tensors_says_what_to_save(tmp_path, gone):
    with pytest.raises(InputError, match=r"Anything', which is not run: save only the parameters"):
        kept(tmp_path, {"net": gone(size=3)})


def test_an_object_that_holds_itself_ends(tmp_path, gone):
    thing = gone(weights=LSTM)
    thing.own = [thing, {"again": thing}]
    assert list(kept(tmp_path, thing)) == [f"weights.{name}" for name in LSTM]


def test_arrays_beside_the_tensors_of_a_pytorch_file(tmp_path):
    """Their bytes are in the pickle, which itself is in the middle of the file."""
    mean = np.arange(500, dtype="f4")
    array = pickle.dumps(mean, 2)[2:-1]  # without protocol and end; longer than a name
    content = dictionary({"mean": array, "w": tensor("0", "Float", 2, (2,), (1,))})
    path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": bytes(8)})
    np.testing.assert_array_equal(read(path)["mean"], mean)


def test_pytorchs_format_before_1_6(tmp_path):
    arrays = LSTM | {"steps": np.array(7), "none": np.zeros((0, 3), "f4")}
    tensors = read(writers.write_legacy_torch(tmp_path / "net.pt", arrays))
    assert tensors.format == "PyTorch before 1.6"
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)


def test_torchscript(tmp_path):
    """Objects of classes that only its own code has, code compressed next to them."""
    import zipfile

    weight = tensor("0", "Float", 2, (2, 1), (1, 1))
    inner = b"c__torch__.torch.nn.modules.rnn\nLSTM\n)\x81}(" + text("weight_ih_l0") + weight
    outer = b"c__torch__.model\nNet\n)\x81}(" + text("training") + b"\x88" + text("rnn")
    content = outer + inner + text("mode") + text("LSTM") + b"ub" + b"ub"
    path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": bytes(8)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/constants.pkl", b"\x80\x02).")
        archive.writestr("archive/code/__torch__/model.py", "class Net: pass\n" * 100)
    tensors = read(path)
    assert (tensors.format, list(tensors)) == ("TorchScript", ["rnn.weight_ih_l0"])


def test_tensors_that_share_bytes_take_no_more_than_the_file_vouches_for(tmp_path):
    view = tensor("0", "Float", 1, (1024, 512), (0, 0))
    for count, fine in ((4, True), (400, False)):
        content = dictionary({f"net{i}.weight_hh_l0": view for i in range(count)})
        path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": bytes(4)})
        if fine:
            assert len(read(path)) == count
        else:
            with pytest.raises(InputError, match=r"its tensors claim 838,860,800 bytes of a file"):
                read(path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_tensors_that_plain_pickle_wrote(tmp_path, protocol):
    """Each storage is a file in PyTorch's old format, in bytes of the pickle."""
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(5, 90)
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"net": module}, protocol=protocol))
    tensors = read(tmp_path / "net.pkl")
    assert set(tensors) == {f"net.{name}" for name in module.state_dict()}
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(tensors[f"net.{name}"], value.numpy(), strict=True)


class _Storage:
    """Pickled as a call of what reads a storage, with the bytes given."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        torch = pytest.importorskip("torch")
        return torch.storage._load_from_bytes, (self.data,)


@pytest.mark.parametrize("data", [b"", b"N.", pickle.dumps(0x1950A86A20F9469CFC6C, 2), "text", 3])
def test_a_storage_that_is_none_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"w": _Storage(data)}))
    with pytest.raises(InputError, match=r"storage|pickle is cut short"):
        read(tmp_path / "net.pkl")


def test_a_storage_within_a_pickle_runs_nothing(tmp_path):
    """PyTorch would run this one."""
    called = b"cos\nsystem\n(S'touch " + str(tmp_path / "trace").encode() + b"'\ntR."
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"w": _Storage(called)}))
    with pytest.raises(InputError, match="not as PyTorch saves it"):
        read(tmp_path / "net.pkl")
    assert not (tmp_path / "trace").exists()


def test_what_pytorch_quantized_is_listed_and_refused_where_it_is_used(tmp_path):
    content = dictionary({"w": tensor("0", "QInt8", 2, (2, 1), (1, 1))})
    path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": bytes(2)})
    tensors = read(path)
    assert tensors.stored["w"].dtype == "qint8"
    with pytest.raises(InputError, match="PyTorch quantized"):
        choose_net(tensors)


def test_storages_within_a_pickle_are_not_looked_at_over_and_over(tmp_path):
    """One text of bytes, many calls: time stays in proportion to the file."""
    torch = pytest.importorskip("torch")
    data = torch.zeros(1 << 14).untyped_storage().__reduce__()[1][0]
    many = {str(k): _Storage(data) for k in range(100)}
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(many))
    with pytest.raises(InputError, match="the same storages many times"):
        read(tmp_path / "net.pkl")
