from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from effort import processor_seconds
from gradflow.config import tree
from gradflow.config.tree import Mark, key_path, parse, parse_value
from gradflow.errors import InputError


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True, scope="module")
def parser(request: pytest.FixtureRequest) -> Any:
    """Every test holds with libyaml and with the parser in Python."""
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("PyYAML was built without libyaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "_Loader", loader)
        yield


def faults(text: bytes | str) -> list[str]:
    """The messages of the InputError that `text` must raise."""
    with pytest.raises(InputError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "c.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, text) for text in ("no", "on", "off", "y", "nULL", "tRUE")),
        *((text, text) for text in ("12:30", "1_000", "2024-01-01", "2024-13-45", "0b1", "=")),
        *(("017", 17), ("-0", 0), ("+12", 12), ("0o17", 15), ("0xfF", 255), ("9" * 300, None)),
        *(("0o8", "0o8"), ("0x", "0x"), ("-0x1", "-0x1"), ("0X1", "0X1"), ("１２", "１２")),
        *(("1e-3", 1e-3), ("1e3", 1e3), ("6e23", 6e23), ("-1.E+3", -1000.0), (".5", 0.5)),
        *((".", "."), ("1e", "1e"), ("e3", "e3"), ("1.2.3", "1.2.3"), ("inf", "inf")),
        *((".inf", math.inf), ("+.Inf", math.inf), ("-.INF", -math.inf)),
        *(("'1'", "1"), ('"true"', "true"), ("''", ""), ('"\\x41\\0"', "A\0"), ("'<<'", "<<")),
        *(("|\n  1\n", "1\n"), (">-\n  no\n  yes", "no yes"), ("1\n  2", "1 2")),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    value = int(text) if text.startswith("999") else value
    for document in (parse(f"k: {text}".encode(), "c"), parse(f"- {text}".encode(), "c")):
        (read,) = document.data.values() if isinstance(document.data, dict) else document.data  # type: ignore[misc, union-attr]
        assert read == value
        assert type(read) is type(value)
        assert str(read) == str(value)


def test_not_a_number_reads_as_such() -> None:
    assert all(math.isnan(x) for x in parse(b"[.nan, .NaN, .NAN]", "c").data)  # type: ignore[union-attr, arg-type]


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", ["c.yaml:2:1: error: a: the key is given twice: on line 1 and on line 2"]),
        ("a: {b: 1, b: 2}", ["1:11: error: a.b: the key is given twice: on line 1, column 5, and"]),
        ("a: {b: 1}\na: {b: 2}",
         ["c.yaml:2:1: error: a: the key is given twice: on line 1 and on line 2"]),
        ("a: {b: 1}\na: {b: 2, b: 3}", ["2:1: error: a: the key is given twice",
         "2:11: error: a.b: the key is given twice: on line 2, column 5, and on column 11"]),
        ("a: 1\n'a': 2\na: 3", ["c.yaml:2:1: error: a: ", "c.yaml:3:1: error: a: "]),
        ("a: !!timestamp x", ["c.yaml:1:4: error: a: tags are not read, found tag:yaml.org,2002"]),
        ("!!python/object:os.system {}", ["c.yaml:1:1: error: tags are not read, found tag:yaml"]),
        ("a: ! x", ["c.yaml:1:4: error: a: tags are not read, found !"]),
        ("a: " + "9" * 5000, ["error: a: expected a number of at most 300 digits, found 5000"]),
        ("a: 0x" + "f" * 5000, ["error: a: expected a number of at most 300 digits"]),
        ("a: 0." + "9" * 500000, ["error: a: expected a number of at most 300 digits"]),
        ("a: 1e999", ["c.yaml:1:4: error: a: 1e999 is beyond float range"]),
        ("a: [-0.01e-999, 0e-999, 1e-320]",
         ["c.yaml:1:5: error: a[0]: -0.01e-999 is beyond float range: write 0, or of a bound"]),
        ("[" * 500 + "]" * 500, ["c.yaml:1:65: error: nested too deeply: expected at most 64"]),
        ("[]" * 5000, ["c.yaml:1:3: error: "]),
        ("[" * 5000, ["nested too deeply"]),
        ("- " * 5000, ["nested too deeply"]),
        ("? " * 5000, ["nested too deeply"]),
        ("{a: " * 5000, ["nested too deeply"]),
        (BOMB, ["a: anchors and aliases are not read, found &a", "b: anchors", *["b["] * 9]),
        ("&a [*a]", ["c.yaml:1:1: error: anchors", "c.yaml:1:5: error: [0]: anchors"]),
        ("a: *b", ["c.yaml:1:4: error: a: anchors and aliases are not read, found *b"]),
        ("a:\n  <<: {b: 1}", ["c.yaml:2:3: error: a: merge keys are not read"]),
        ("--- {a: 1}\n--- {a: 2}", ["c.yaml:2:1: error: expected one document, a second"]),
        ("", ["c.yaml:1:1: error: expected `key: value` lines, found none"]),
        ("# only\n\n", ["found none"]),
        ("---\n...\n", ["found none"]),
        (b"\xef\xbb\xbf", ["found none"]),
        ("a: 1\nb: é\0", ["c.yaml:2:5: error: expected text, found the character U+0000"]),
        ("a: \x1b[31m\r\nb: \x07", ["c.yaml:1:4: ", "c.yaml:2:4: error: expected text, found the"]),
        ("a: 1\u2028b: 2", ["c.yaml:1:5: error: expected text, found the character U+2028"]),
        ("a: 1\n\ufeffb: 2", ["c.yaml:2:1: error: expected text, found the character U+FEFF"]),
        (b"a: 1\nb: \xc3\xa9\xe9", ["c.yaml:2:5: error: expected UTF-8 text, found the byte 0xe9"]),
        ("a: 1".encode("utf-16"), ["c.yaml:1:1: error: expected UTF-8 text, found UTF-16"]),
        ("a: 1".encode("utf-16-le"), ["c.yaml:1:1: error: expected UTF-8 text, found UTF-16"]),
        ("a: 1".encode("utf-32-be"), ["c.yaml:1:1: error: expected UTF-8 text, found UTF-16"]),
        (b"#" * (1 << 20) + b"#", ["expected at most 1,048,576 bytes, found more"]),
        ("1: x", ["c.yaml:1:1: error: 1: expected a name as the key, found 1"]),
        ("true: x\nnull: y", ["true: expected a name as the key", "null: expected a name as"]),
        ("a: {? : z}", ['a."?": expected a name as the key, found nothing']),
        ("[a, b]: x", ['c.yaml:1:1: error: "?": expected a name as the key, found a list, a map']),
        ("? {a: [b]}\n: {c: 1, c: 2}", ["found a list", '"?".c: the key is given twice']),
        ('a: "\\ud800"', ["c.yaml:1:"]),
        ('a: "\\U00110000"', ["c.yaml:1:"]),
        ("a: [1, 2", ["c.yaml:1:9: error: "]),
        ("a: {b: 1\n\n\n", ["c.yaml:1:9: error: "]),
        ("a: b: c", ["c.yaml:1:5: error: mapping values are not allowed"]),
        ("a:\n\t- 1", ["c.yaml:2:1: error: found character"]),
        ("a: @x", ["c.yaml:1:4: error: found character", "that cannot start any token: indent"]),
        ("a: 'x", ["c.yaml:1:6: error: "]),
        ("a: 1\na: 2\nb: !c d\ne: [", ["a: the key", "b: tags", "c.yaml:4:5: error: "]),
    ],
)  # fmt: skip
def test_a_trap_is_a_clear_error(text: str | bytes, expected: list[str]) -> None:
    found = faults(text)
    rest = "\n".join(found)
    for part in expected:
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]
    for message in found:
        assert message.startswith("c.yaml:")
        assert len(message) < 400
        assert message.isprintable()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", ""])
def test_a_character_that_json_writes_as_two_escapes_is_one(line_end: str) -> None:
    pair, backslash = "\\ud83d\\ude00", "\\\\ud83d\\\\ude00"
    text = f'{{"a": "{pair}{backslash}", {line_end}"b": ["{pair}", "{pair}"], "c": 1}}'
    document = parse(text.encode(), "c.yaml")
    assert document.data == {"a": "😀" + r"\ud83d\ude00", "b": ["😀", "😀"], "c": 1}
    last = text.split("\n")[-1]
    mark = document.mark(("c",), key=True)
    assert (mark.line, mark.column) == (1 + text.count("\n"), last.index('"c"') + 1)
    assert document.mark(("b", 1)).column == last.rindex(f'"{pair}"') + 1


@pytest.mark.parametrize("text", [r"a: '\ud83d\ude00'", r"a: \ud83d\ude00"])
def test_what_is_no_escape_stays(text: str) -> None:
    assert parse(text.encode(), "c.yaml").data == {"a": r"\ud83d\ude00"}


def test_the_number_of_keys_and_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_NODES", 3)
    assert parse(b"[1, 2]", "c").data == [1, 2]
    assert faults("a: 1\nb: 2") == ["c.yaml:2:1: error: expected at most 3 keys and values"]


def test_every_fault_is_reported_but_not_beyond_reason() -> None:
    found = faults("a: 1\n" * 300)
    assert len(found) == 101
    assert found[-1] == "c.yaml: error: … and 199 more"


@pytest.mark.parametrize(
    "text",
    [
        "[]" * 5000,
        "[" + "[]," * 5000 + "]",
        "[" * 5000,
        "[" * 63 + "1," * 20_000,
        "{" + "a" * 500 + ": " * 5000,
        '"' + "\\x41" * 20_000,
        "a: >\n" + " \n" * 20_000,
        "? a\n" * 10_000,
        "&a " * 5000,
        "#" * 100_000,
    ],
)  # fmt: skip
def test_hostile_texts_take_no_time(text: str) -> None:
    with processor_seconds(3), suppress(InputError):
        parse(text.encode(), "c")


def test_marks_tell_where_each_key_and_value_stands() -> None:
    document = parse("\ufeffcell:\r\n  - rnn\r\n  - {é: 1, type: gru}\r\nseed: 3".encode(), "c")
    assert document.data == {"cell": ["rnn", {"é": 1, "type": "gru"}], "seed": 3}
    assert document.marks == {
        (): Mark(1, 1),
        ("cell",): Mark(2, 3),
        ("cell", 0): Mark(2, 5),
        ("cell", 1): Mark(3, 5),
        ("cell", 1, "é"): Mark(3, 9),
        ("cell", 1, "type"): Mark(3, 18),
        ("seed",): Mark(4, 7),
    }
    assert document.key_marks == {
        ("cell",): Mark(1, 1),
        ("cell", 1, "é"): Mark(3, 6),
        ("cell", 1, "type"): Mark(3, 12),
        ("seed",): Mark(4, 1),
    }


def test_a_mark_falls_back_to_the_nearest_ancestor() -> None:
    document = parse(b"cell:\n- type: gru", "c")
    assert document.mark(("cell", 0, "type")) == Mark(2, 9)
    assert document.mark(("cell", 0, "type"), key=True) == Mark(2, 3)
    assert document.mark(("cell", 0, "reset")) == document.mark(("cell", 0)) == Mark(2, 3)
    assert document.mark(("cell", 7, "x", 3), key=True) == Mark(1, 1)
    assert document.mark(("seed",)) == document.mark(()) == Mark(1, 1)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("cell", 2, "type"), "cell[2].type"),
        ((0, 1), "[0][1]"),
        (("a.b", "c d", "é"), '"a.b"."c d".é'),
        (("\x1b[31m\x9b", ""), r'"\u001b[31m\u009b".""'),
        (("x" * 1000,), '"' + "x" * 60 + '\\u2026"'),
    ],
)
def test_key_paths_are_spelled_for_people(path: tuple[str | int, ...], text: str) -> None:
    assert key_path(path) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" ", None),
        ("1e-3", 1e-3),
        ("[0.5, 1]", [0.5, 1]),
        ("{type: gru, reset: before}", {"type": "gru", "reset": "before"}),
        ("no", "no"),
        ("'1'", "1"),
    ],
)
def test_a_value_from_the_command_line_reads_as_yaml(text: str, value: object) -> None:
    assert parse_value(text, "--set x") == value


@pytest.mark.parametrize("text", ["[1", "*a", "a: b: c", "\udcff", "x\ud800", "#", "{a: 1, a: 1}"])
def test_a_bad_value_from_the_command_line_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="--set x:1:"):
        parse_value(text, "--set x")


@given(st.binary() | st.text("[]{}:,-?&*!|>'\"%@`#~< \n\tab1.e\\U0", max_size=40).map(str.encode))
def test_any_bytes_are_a_document_or_an_input_error(text: bytes) -> None:
    try:
        document = parse(text, "c")
    except InputError as error:
        assert all(f.source == "c" and f.line != 0 for f in error.faults)  # noqa: PT017
    else:
        assert () in document.marks


# Text that 1.2 alone takes for a number, such as 0E0, is left out.
names = st.text(max_size=8).filter(lambda text: not re.match("[-+.0-9]", text))
plain = st.none() | st.booleans() | st.integers() | names
floats = st.floats(allow_nan=False).filter(lambda x: "e" not in repr(x))
trees = st.recursive(
    plain | floats,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(trees.filter(lambda tree: tree is not None), st.booleans())
def test_agrees_with_pyyaml_where_yaml_1_1_and_1_2_agree(data: Any, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow)
    assert parse(text.encode(), "c").data == yaml.safe_load(text) == data
