import hashlib
import json
import os
import tracemalloc

import pytest

from command import main
from gradflow.errors import GradflowError, InputError
from gradflow.runs.runner import execute
from gradflow.runs.scheduling.journal import Journal
from sweeps import one_by_one, small, text

TINY = {
    "cell": "rnn",
    "hidden_size": 1,
    "batch_size": 1,
    "input_size": 1,
    "sequence_length": 1,
    "ws_scale": 1.0,
    "seed": [0, 1, 2],
}


@pytest.fixture
def written(tmp_path):
    """A tiny sweep and the file of its journal."""
    experiment = small(**TINY)
    with journal_in(tmp_path, experiment) as journal:
        list(execute(experiment, journal=journal))
    return experiment, tmp_path / "journal.jsonl"


def journal_in(folder, experiment):
    return Journal(folder, experiment.runs, experiment.thresholds)


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.fuzz)])
def test_a_journal_torn_at_any_byte_loses_its_last_line_alone(written, every, monkeypatch):
    experiment, path = written
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # thousands of times
    whole = path.read_bytes()
    last = len(b"".join(whole.splitlines(keepends=True)[:-1]))
    results = list(execute(experiment))
    cuts = range(last, len(whole))
    for cut in sorted({*cuts[:50], *cuts[50:-50:every], *cuts[-50:]}):
        path.write_bytes(whole[:cut])
        with journal_in(path.parent, experiment) as journal:
            complete = cut == len(whole) - 1  # only the line end is missing
            assert journal.finished() == ({0, 1, 2} if complete else {0, 1})
            assert len(journal.damage) == (0 if complete or cut == last else 1)
            if not complete:
                journal.add([(2, experiment.runs[2])], [results[2]])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("damage", ["flip", "drop", "garbage"])
def test_a_damaged_line_is_lost_alone_and_named(written, line, damage):
    experiment, path = written
    lines = path.read_bytes().splitlines(keepends=True)
    good = lines[line]
    lines[line] = {
        "flip": good[:50] + bytes([good[50] ^ 1]) + good[51:],
        "drop": good[:60] + good[61:],
        "garbage": b"\0" * 20 + b"\n",
    }[damage]
    path.write_bytes(b"".join(lines))
    with journal_in(path.parent, experiment) as journal:
        assert journal.finished() == {0, 1, 2} - {line}
        assert [f"{path}:{line + 1}: warning: " in d for d in journal.damage] == [True]
        results = execute(experiment, journal=journal)
        assert text(experiment, results) == one_by_one(experiment)
    with journal_in(path.parent, experiment) as journal:
        assert journal.finished() == {0, 1, 2}


def test_a_journal_serves_another_order_of_its_runs_and_no_other_thresholds(written):
    _, path = written
    other = small(**{**TINY, "seed": [2, 7, 0]})
    with journal_in(path.parent, other) as journal:
        assert journal.finished() == {0, 2}
        assert text(other, execute(other, journal=journal)) == one_by_one(other)
    other = small(**TINY, thresholds={"vanishing": 0.5, "exploding": 2.0})
    with journal_in(path.parent, other) as journal:
        assert journal.finished() == set()


def test_one_sweep_at_a_time_uses_a_folder(written):
    experiment, path = written
    with (
        journal_in(path.parent, experiment),
        pytest.raises(InputError, match="in use by another sweep"),
        journal_in(path.parent, experiment),
    ):
        pass
    with journal_in(path.parent, experiment):  # it is free again
        pass


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file/journal"),
        journal_in(tmp_path / "file/journal", small(**TINY)),
    ):
        pass


def signed(content):
    """A line whose checksum is right, whatever it says."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return hashlib.sha256(body).hexdigest()[:32].encode() + b" " + body + b"\n"


def changed(line, change):
    """A written line with its result changed, and the checksum of that."""
    record = json.loads(line[33:])
    result = record["result"]["$Result"]
    change(result)
    return signed(record)


def total_of(result):
    return result["flow"]["$GradientFlow"]["totals"]["W_s"]["$Magnitudes"]


def nested(depth):
    return b'{"result": ' + b"[" * depth + b"]" * depth + b"}"


HOSTILE = {
    "no result": lambda line: signed({"run": json.loads(line[33:])["run"], "result": None}),
    "a list": lambda line: signed({"run": json.loads(line[33:])["run"], "result": [1]}),
    "no such class": lambda line: signed(
        {"run": json.loads(line[33:])["run"], "result": {"$x": 1}}
    ),
    "another class": lambda line: signed(
        {"run": json.loads(line[33:])["run"], "result": {"$Diagnosis": {"verdict": "stable"}}}
    ),
    "objects": lambda line: changed(
        line, lambda r: r["flow"]["$GradientFlow"].update(share_W_s={"$array": ["O", [1], "AAAA"]})
    ),
    "a huge shape": lambda line: changed(
        line,
        lambda r: r["flow"]["$GradientFlow"].update(
            share_W_s={"$array": ["<f8", [10**15], "AAAA"]}
        ),
    ),
    "a short curve": lambda line: changed(
        line, lambda r: r["flow"]["$GradientFlow"].update(share_W_s={"$array": ["<f8", [0], ""]})
    ),
    "text for a number": lambda line: changed(line, lambda r: r.update(loss="\x1b[31m")),
    "no flow": lambda line: changed(line, lambda r: r.update(flow={"$tuple": []})),
    "another run": lambda line: changed(line, lambda r: r["axes"].update(seed=77)),
    "a member too many": lambda line: changed(line, lambda r: r.update(more=1)),
    "an escape": lambda line: changed(
        line, lambda r: r["diagnosis"]["$Diagnosis"].update(verdict="\x1b[2J")
    ),
    "another cell": lambda line: changed(line, lambda r: r["options"].update(leak="\x1b[2J")),
    "another loss": lambda line: changed(line, lambda r: r.update(objective="\x1b[2J")),
    "notes": lambda line: changed(line, lambda r: r.update(notes={"$tuple": ["a"]})),
    "true for a number": lambda line: changed(
        line, lambda r: r["diagnosis"]["$Diagnosis"].update(horizon=True)
    ),
    "a lag beyond the first step": lambda line: changed(
        line, lambda r: r["diagnosis"]["$Diagnosis"].update(horizon=10**30)
    ),
    "an exponent of a fraction": lambda line: changed(
        line, lambda r: total_of(r).update(exponent=0.5)
    ),
    "a norm below zero": lambda line: changed(line, lambda r: total_of(r).update(mantissa=-0.5)),
    "percentiles of one lag": lambda line: changed(
        line,
        lambda r: r["flow"]["$GradientFlow"].update(
            log10_percentiles={"$array": ["<f8", [1, 3], "AAAA" * 8]}
        ),
    ),
    "deep": lambda line: signed(line[33:118] + b"[" * 100_000 + b"]" * 100_000 + b"}"),
}


@pytest.mark.parametrize("content", HOSTILE)
def test_a_right_checksum_over_wrong_content_is_an_input_error(written, content):
    experiment, path = written
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + HOSTILE[content](lines[1]) + lines[2])
    with journal_in(path.parent, experiment) as journal:
        assert journal.finished() == {0, 1, 2}
        with pytest.raises(InputError) as caught:
            list(execute(experiment, journal=journal))
    message = "the checksum is right, but it holds no result: remove this line"
    assert str(caught.value) == f"{path}:2: error: --resume: {message}"


@pytest.mark.parametrize(
    "content", [b"[]", b'"x"', b"null", b"{}", b'{"run": 7}', b"\xff\xfe", b"", nested(10)]
)
def test_a_right_checksum_over_no_record_is_a_damaged_line(written, content):
    experiment, path = written
    path.write_bytes(signed(content) + path.read_bytes())
    with journal_in(path.parent, experiment) as journal:
        assert [f"{path}:1: warning: " in told for told in journal.damage] == [True]
        assert journal.finished() == {0, 1, 2}


def test_a_line_longer_than_any_result_is_refused_unread(written, monkeypatch):
    experiment, path = written
    monkeypatch.setattr("gradflow.runs.scheduling.journal._FREE_BYTES", 100)
    monkeypatch.setattr("gradflow.runs.scheduling.journal._BYTES_PER_LAG", 1)
    with (
        journal_in(path.parent, experiment) as journal,
        pytest.raises(InputError, match=r"jsonl:1: error: .* remove this line"),
    ):
        journal.read(0)


@pytest.mark.parametrize("tail", ["zeros", "lines", "others"])
def test_memory_does_not_follow_from_the_size_of_the_file(written, tail):
    experiment, path = written
    sizes = {}
    for count in (1, 2):
        with path.open("ab") as file:
            if tail == "zeros":
                file.truncate(count << 24)  # one line without an end
            elif tail == "lines":
                file.write(b"x\n" * 50_000)
            else:
                other = b'{"run": "%064x", "result": null}'
                file.writelines(signed(other % i) for i in range(5_000 * count))
        tracemalloc.start()
        with journal_in(path.parent, experiment) as journal:
            assert journal.finished() == {0, 1, 2}
            assert len(journal.damage) <= 11
            sizes[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert sizes[2] < 1.2 * sizes[1]


def test_a_last_line_of_another_program_is_left_as_it_is(written):
    experiment, path = written
    path.write_bytes(b"the notes of another program")
    with journal_in(path.parent, experiment):
        pass
    assert path.read_bytes() == b"the notes of another program\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
@pytest.mark.parametrize("what", ["link", "dangling", "loop", "folder", "pipe", "device"])
def test_what_is_no_plain_file_is_refused_by_name(tmp_path, capsys, name, what):
    folder, other = tmp_path / "kept", tmp_path / "notes"
    folder.mkdir()
    other.write_text("notes")
    (tmp_path / "c.yaml").write_text("cell: rnn\nsequence_length: 2\n")
    path = folder / name
    {
        "link": lambda: path.symlink_to(other),
        "dangling": lambda: path.symlink_to(tmp_path / "nothing"),
        "loop": lambda: path.symlink_to(path),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
    }[what]()
    code, out, err = main(capsys, "analyze", tmp_path / "c.yaml", "--resume", folder)
    assert (code, out) == (2, "")
    assert err == (
        f"{path}: error: --resume: expected a file, found a link, folder, device, pipe or socket\n"
    )
    assert other.read_text() == "notes"
    assert not (tmp_path / "nothing").exists()


def test_a_full_disk_is_told_with_the_name_of_the_journal(written, monkeypatch):
    experiment, path = written

    def full(_):
        raise OSError(28, "No space left on device")

    with journal_in(path.parent, experiment) as journal:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(GradflowError, match=r"journal\.jsonl: error: --resume: could not be"):
            journal.add([], [])
