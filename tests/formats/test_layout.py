from __future__ import annotations

import pytest

from gradflow.formats.layout import Column, Entry, Span, blocks, fold, grid, render, room_left

KEY = Column(("lag",), [Entry("1"), Entry("10")], "right")
COLUMNS = [
    Column(("x",), [Entry("1"), Entry("2" * n)], "left") for n in (3, 7, 5, 9, 2, 8, 4, 6, 30)
]


@pytest.mark.parametrize("width", range(20, 90))
def test_blocks_are_full_but_fit_and_hold_every_column_once(width):
    found = list(blocks(COLUMNS, [KEY], width))
    assert [column for block in found for column in block[1:]] == COLUMNS
    for block, after in zip(found, [*found[1:], None], strict=True):
        assert block[0] is KEY
        room = room_left(block, width)
        assert room + 2 >= 0 or len(block) == 2
        assert after is None or after[1].width > room


def test_grid_aligns_decimal_points_and_marks():
    cells = [Entry("1.00"), Entry("12.5"), Entry("3.2e-05", mark="↓"), Entry("0"), Entry("")]
    key = Column(("lag",), [Entry(str(lag)) for lag in (0, 1, 10, 100, 1000)], "right")
    page = [render(line, colour=False) for line in grid([key, Column(("a", "b"), cells)])]
    assert page == [
        "      a\n",
        " lag  b\n",
        "───────────────\n",
        "   0   1.00\n",
        "   1  12.5\n",
        "  10   3.2e-05↓\n",
        " 100   0\n",
        "1000\n",
    ]


def test_wide_characters_take_two_columns():
    column = Column(("名前",), [Entry("勾配"), Entry("ab")], "right")
    assert [render(line, colour=False) for line in grid([column])] == [
        "名前\n",
        "────\n",
        "勾配\n",
        "  ab\n",
    ]
    folded = fold(["勾配"] * 5, " ", 10)
    assert [render(line, colour=False) for line in folded] == [
        "勾配 勾配\n",
        "勾配 勾配\n",
        "勾配\n",
    ]


def test_only_what_is_not_blank_is_coloured():
    line = [Span("  a b ", "red"), Span("  "), Span("   ", "bold"), Span("c  ", "blue")]
    assert render(line, colour=True) == "  \x1b[31ma b\x1b[0m      \x1b[34mc\x1b[0m\n"
    assert render(line, colour=False) == "  a b      c\n"
    assert render([], colour=True) == "\n"
