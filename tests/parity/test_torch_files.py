"""Whatever torch.save and torch.jit.save write of a net, its parameters are the ones read."""

from __future__ import annotations

import sys
import types
import zipfile

import numpy as np
import pytest

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(5, 8)
        self.fc = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class Settings:
    rate = 0.1


@pytest.fixture
def net(monkeypatch):
    """Of a class whose module is gone when the file is read."""
    module = types.ModuleType("of_a_training_script")
    for cls in (Net, Settings):
        monkeypatch.setattr(cls, "__module__", module.__name__)
        setattr(module, cls.__name__, cls)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.manual_seed(0)
    return Net()


def trained(net):
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(3, 1, 5)).sum().backward()
    optimizer.step()
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)


CONTENTS = {
    "whole module": lambda net: net,
    "module in a checkpoint": lambda net: {"model": net, "epoch": 1},
    "state dict": lambda net: net.state_dict(),
    "object next to": lambda net: {"model": net.state_dict(), "config": Settings()},
    "class as a key": lambda net: {"state_dict": net.state_dict(), "callbacks": {Settings: {}}},
    "optimizer next to": lambda net: {"a": net.state_dict(), "b": trained(net)[0].state_dict()},
    "optimizer object": lambda net: {"a": net.state_dict(), "b": trained(net)[0]},
    "scheduler": lambda net: {"a": net.state_dict(), "b": trained(net)[1]},
    "list": lambda net: [net.state_dict(), trained(net)[0].state_dict()],
    "random states": lambda net: {
        "model": net.state_dict(),
        "rng": [torch.get_rng_state(), np.random.RandomState(0)],
    },
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.filterwarnings("ignore")
def test_what_torch_saves(tmp_path, monkeypatch, net, name, legacy):
    path = tmp_path / "net.pt"
    torch.save(CONTENTS[name](net), path, _use_new_zipfile_serialization=not legacy)
    monkeypatch.delitem(sys.modules, "of_a_training_script")
    tensors = read(path)
    assert not any("exp_avg" in one for one in tensors)
    [layer] = choose_net(tensors)
    assert layer.prefix.endswith("lstm")
    np.testing.assert_array_equal(layer.W_s, net.lstm.weight_hh_l0.detach().double().numpy())


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path, net):
    path = tmp_path / "net.pt"
    torch.jit.trace(net, torch.zeros(3, 1, 5)).save(path)
    [layer] = choose_net(read(path))
    np.testing.assert_array_equal(layer.W_x, net.lstm.weight_ih_l0.detach().double().numpy())
    assert layer.prefix == "lstm"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8"])
def test_numbers_of_every_kind_in_the_format_before_1_6(tmp_path, dtype):
    value = torch.arange(-5, 5).to(getattr(torch, dtype))
    path = tmp_path / "net.pt"
    torch.save({"w": value}, path, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(read(path)["w"], np.arange(-5, 5))


def test_the_advice_for_a_compressed_file_works_as_printed(tmp_path, monkeypatch):
    torch.save(torch.nn.LSTM(3, 4).state_dict(), tmp_path / "net.pt")
    with (
        zipfile.ZipFile(tmp_path / "net.pt") as archive,
        zipfile.ZipFile(tmp_path / "FILE", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(InputError, match="is compressed") as error:
        read(tmp_path / "FILE")
    _, _, advice = str(error.value).partition("save it again, ")
    monkeypatch.chdir(tmp_path)
    exec(advice, {"torch": torch, "FILE": "FILE", "OTHER": "OTHER"})
    assert choose_net(read(tmp_path / "OTHER"))[0].cell == "lstm"
