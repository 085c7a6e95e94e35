"""PyTorch files made to harm or mislead whoever reads them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import weight_writers as writers
from weight_writers import dictionary, number, tensor, text

LSTM = writers.lstm_arrays()
MIB = 1 << 20


def torch(content, storages=(), **options):
    """A PyTorch file of this pickle."""
    return lambda folder: writers.write_torch_parts(
        folder / "net.pt", content, dict(storages), **options
    )


def calling(code):
    """A state dict one of whose values is what this pickle code makes."""
    return torch(dictionary({"weight_ih_l0": code}))


def weight(view, length=4):
    """A state dict of one tensor, on a storage of four floats."""
    return torch(dictionary({"rnn.weight_hh_l0": view}), {"0": bytes(4 * length)})


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def reduce(module, name, *arguments):
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def deep_tuples():
    return b"}" + b")" + b"\x85" * 200_000 + b"Ns"


def torch_of(arrays, **options):
    return lambda folder: writers.write_torch(folder / "net.pt", arrays, **options)


def duplicate_member(folder):
    path = writers.write_torch(folder / "net.pt", LSTM)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(LSTM["rnn.weight_ih_l0"].nbytes))
    return path


def raw(name, data):
    def write(folder):
        path = folder / name
        path.write_bytes(data)
        return path

    return write


TORCH = {
    "a call of os.system": (
        calling(reduce("os", "system", text("true"))),
        r"its pickle calls 'os\.system', which is not run: save only the parameters",
    ),
    "a call of eval": (calling(reduce("builtins", "eval", text("1"))), r"calls 'builtins\.eval'"),
    "a call of getattr in Python 2's spelling": (
        calling(reduce("__builtin__", "getattr", text("a"), text("b"))),
        r"calls 'builtins\.getattr'",
    ),
    "a global named on the stack": (
        calling(text("posix") + text("system") + b"\x93"),
        r"calls 'posix\.system'",
    ),
    "an instance by INST": (
        calling(b"(" + text("a") + b"ios\nsystem\n"),
        r"calls 'os\.system', which is not run",
    ),
    "a registered extension": (calling(b"\x82\x01"), "calls 'copyreg extension 1'"),
    "a model pickled whole": (calling(named("__main__", "Net") + b")\x81"), r"'__main__\.Net'"),
    "attributes set on what rebuilds tensors": (
        calling(named("torch._utils", "_rebuild_tensor_v2") + b"}" + text("a") + b"Nsb)R"),
        "damaged",
    ),
    "a call of what is no function": (calling(text("f") + b")R"), "calls what is no function"),
    "compressed members": (
        torch(
            dictionary({"w": tensor("0", "Float", 4, (4,), (1,))}),
            {"0": bytes(16)},
            compression=zipfile.ZIP_DEFLATED,
        ),
        r"member 'archive/data\.pkl' is compressed: save it again, torch\.save\(",
    ),
    "a giant with stride 0": (
        weight(tensor("0", "Float", 4, (30_000, 30_000), (0, 0))),
        r"tensor 'rnn\.weight_hh_l0' claims 900,000,000 elements from a storage of 4",
    ),
    "a giant of a shape": (
        weight(tensor("0", "Float", 4, (2**40, 2**40), (1, 1))),
        "reaches element",
    ),
    "more axes than any tensor has": (
        weight(tensor("0", "Float", 4, (1,) * 1000, (1,) * 1000)),
        "impossible shape",
    ),
    "a negative stride": (weight(tensor("0", "Float", 4, (2,), (-1,))), "impossible shape"),
    "a view past its storage": (
        weight(tensor("0", "Float", 4, (2, 2), (2, 1), offset=1)),
        "reaches element 4 of a storage of 4",
    ),
    "a storage shorter than promised": (
        weight(tensor("0", "Float", 5, (5,), (1,))),
        r"needs a storage of 20 bytes, which has 16: cut short\?",
    ),
    "a storage that is not there": (
        weight(tensor("../0", "Float", 4, (4,), (1,))),
        "needs a storage of 16 bytes, which is not in the file",
    ),
    "a member twice": (duplicate_member, r"member 'archive/data/0' is there 2 times"),
    "a tensor twice": (
        torch(dictionary({"a": number(1)})[:-1] + text("a") + number(2) + b"u"),
        "its dictionary has 'a' twice",
    ),
    "two ways to one dotted name": (
        torch(
            dictionary(
                {
                    "a.b": tensor("0", "Float", 1, (1,), (1,)),
                    "a": dictionary({"b": tensor("0", "Float", 1, (1,), (1,))}),
                }
            ),
            {"0": bytes(4)},
        ),
        "two of its tensors have the same name 'a.b'",
    ),
    "no tensors": (torch(dictionary({"epoch": number(1)})), "found no tensor"),
    "a list that holds itself": (torch(b"]q\0h\0a"), "found no tensor"),
    "a dictionary that holds itself": (torch(b"}q\0" + text("a") + b"h\0s"), "found no tensor"),
    "tuples nested 200,000 deep as a key": (torch(deep_tuples()), "found no tensor"),
    "a million empty dictionaries": (torch(b"}" * 3_000_000), "more than 1,000,000 steps"),
    "a pickle of 40 MB": (torch(b"}" * 40_000_000), "longer than"),
    "a memo index of four billion": (torch(b"}r\xff\xff\xff\xff"), "found no tensor"),
    "a string of eight exabytes": (torch(b"\x8d" + b"\xff" * 7 + b"\x0f"), "cut short"),
    "a number of a million digits": (torch(b"I" + b"9" * 1_000_000 + b"\n"), "damaged"),
    "one long list of arguments, over and over": (
        torch(b"(" + b"N" * 400_000 + b"tq\0" + (named("torch", "Size") + b"h\0R") * 100_000),
        "too many arguments",
    ),
    "one long name, over and over": (
        torch(
            text("x" * MIB)
            + b"q\1"
            + tensor("0", "Float", 1, (1,), (1,))
            + b"q\2"
            + (b"}h\1h\2s") * 100_000
        ),
        "longer than 1000 characters",
    ),
    "nested dictionaries with long names": (
        torch(
            text("x" * MIB) + b"q\1" + b"}h\1" * 5 + tensor("0", "Float", 1, (1,), (1,)) + b"s" * 5
        ),
        "a name in it is longer than 1000 characters",
    ),
    "an empty stack": (torch(b"0" * 3), "damaged"),
    "a mark never set": (torch(b"u"), "damaged"),
    "PyTorch's format before 1.6, cut short": (
        raw("net.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100)),
        "damaged",
    ),
    "NaN weights": (
        torch_of(LSTM | {"rnn.bias_hh_l0": np.full(16, np.nan, "f4")}),
        r"tensor 'rnn\.bias_hh_l0' holds nan at \[0\]: expected finite numbers",
    ),
    "wrong shapes": (
        torch_of(LSTM | {"rnn.bias_hh_l0": np.zeros(15, "f4")}),
        r"'rnn\.weight_ih_l0' gives W_x shape \(16, 3\) and .* gives b_s shape \(15,\)",
    ),
    "zero-size tensors": (
        torch_of(LSTM | {"rnn.weight_hh_l0": np.zeros((16, 0), "f4")}),
        r"tensor 'rnn\.weight_hh_l0' is empty: its shape is \(16, 0\)",
    ),
    "names with escape sequences": (
        torch_of({"\x1b[31m": np.zeros(3)}),
        "expected printable names",
    ),
}
