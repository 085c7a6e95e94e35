"""Whatever a file holds: one error that names it, soon, and without much memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import HOSTILE, SUFFIXES, write_valid

from effort import processor_seconds
from gradflow.errors import InputError
from gradflow.weights import choose_net, read
from gradflow.weights.readers import in_time


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(tmp_path, case):
    write, message = HOSTILE[case]
    path = write(tmp_path)
    with processor_seconds(5), pytest.raises(InputError, match=message) as error:
        choose_net(read(path))
    assert str(error.value).startswith(f"{path}: error: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) - len(str(path)) < 400


READ_ALL = """
import sys
from pathlib import Path
from gradflow.errors import InputError
from gradflow.weights import choose_net, read
for path in sorted(Path(sys.argv[1]).glob("*/net.*")):
    try:
        choose_net(read(path))
    except InputError:
        pass
print(Path("/proc/self/status").read_text())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_hostile_files_take_little_memory(tmp_path):
    """All of them one after the other in one process, whose peak is then that of the worst."""
    for number, (write, _) in enumerate(HOSTILE.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.suppress(pytest.skip.Exception):
            write(folder)
    command = [sys.executable, "-c", READ_ALL, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = next(line for line in result.stdout.splitlines() if line.startswith("VmHWM:"))
    assert int(peak.split()[1]) < 300 * 1024


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_anywhere_is_refused(tmp_path, suffix):
    path = write_valid(tmp_path, suffix)
    data = path.read_bytes()
    assert choose_net(read(path))[0].cell == "lstm"
    for part in range(32):
        path.write_bytes(data[: len(data) * part // 32])
        with pytest.raises(InputError) as error:
            choose_net(read(path))
        assert str(error.value).startswith(f"{path}: error: ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_in_the_headers_is_refused_or_does_no_harm(
    tmp_path, suffix, every, monkeypatch
):
    monkeypatch.setattr(in_time, "SECONDS", 0.1)  # some of them make HDF5 loop for ever
    path = write_valid(tmp_path, suffix)
    data = path.read_bytes()
    positions = range(len(data)) if len(data) < 500 else [*range(250), *range(-250, 0)]
    for position in positions[::every]:
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        path.write_bytes(flipped)
        try:
            choose_net(read(path))
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017 - many of the files are still good


def test_nothing_in_a_pickle_is_run(tmp_path):
    """The file would leave a trace next to itself."""
    from hostile_torch import calling, reduce
    from weight_writers import text

    trace = tmp_path / "trace"
    for module, name in (("os", "system"), ("posix", "system"), ("subprocess", "getoutput")):
        path = calling(reduce(module, name, text(f"touch {trace}")))(tmp_path)
        with pytest.raises(InputError):
            read(path)
    assert not trace.exists()
    assert isinstance(path, Path)
