"""Pickles that are damaged where a reader has to look twice: each is told in one line."""

from __future__ import annotations

import pytest
from hostile_torch import named, torch
from weight_writers import text

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

DAMAGED = {
    "a whole number of a million bytes": (
        b"}" + text("a") + b"\x8b" + (10**6).to_bytes(4, "little") + b"s",
        "an integer of thousands of digits",
    ),
    "a string of Python 2 without quotes": (b"}Sabc\nNs", "a string without quotes"),
    "a line without an end": (b"}Vabc", "its pickle is cut short"),
    "a memo of a hundred billion": (b"}p99999999999\n", "it remembers too much"),
    "what was never remembered": (b"}j\x99\x00\x00\x00", "its pickle is damaged"),
    "items of a list": (b"]K\x01K\x02s", "sets items of what is no dictionary"),
    "what is put behind a dictionary": (b"}K\x01a", "appends to what is no list"),
    "a name that is a number": (b"K\x01K\x02\x93", "a name is no text"),
    "a key of two thousand letters": (
        b"}" + text("k" * 2000) + b"}s",
        "a name in it is longer than 1000 characters",
    ),
    "a tensor on a number": (
        b"}" + text("w") + named("torch._utils", "_rebuild_tensor_v3")
        + b"(K\x01K\x00K\x01K\x01\x89}" + text("q") + b"tRs",
        "a tensor is not built on a storage and a dtype",
    ),
    "a type that rebuilds a number": (
        b"}" + text("w") + named("torch._tensor", "_rebuild_from_type_v2") + b"(K\x01K\x02K\x03tRs",
        "its pickle calls 'torch._tensor._rebuild_from_type_v2'",
    ),
    "a number that is called": (b"K\x01K\x02R", "its pickle calls what is no function"),
    "pairs that are none": (
        named("collections", "OrderedDict") + b"((lp0\n(lp1\n" + text("a") + b"aK\x01aatR",
        "expected a dictionary of tensors, found no tensor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_it_is_told_in_one_line(tmp_path, case):
    content, message = DAMAGED[case]
    path = torch(content)(tmp_path)
    with pytest.raises(InputError, match=message.replace("_", ".")) as error:
        choose_net(read(path))
    assert "\n" not in str(error.value)
