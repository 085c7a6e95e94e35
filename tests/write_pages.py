"""Puts what the commands of pages print, the figures that they make, and what is generated from the
code in place of what the pages show: `python tests/write_pages.py docs/gallery.md ...`, or all
pages. Look at what came of it before it is committed. An output with a line `...` is left alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from generated import current
from page_runner import Session
from pages import PAGES, ROOT, images, snippets


def rewrite(page: Path) -> list[str]:
    """Write a page anew; what is still wrong with it."""
    text = current(page.read_text(encoding="utf-8"))
    found = snippets(text)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder) / "page")
        faults = list(session.faults(found))
        for name in {Path(image).name for image in images(text)} & session.figures().keys():
            shutil.copy(session.figures()[name], ROOT / "docs" / "figures" / name)
    lines = text.splitlines(keepends=True)
    for snippet in reversed(found):
        shown = snippet.text.splitlines()
        if snippet.line in session.printed and not any(line.strip() == "..." for line in shown):
            printed = [line.rstrip() + "\n" for line in session.printed[snippet.line].splitlines()]
            lines[snippet.line : snippet.line + len(shown)] = printed
    page.write_text("".join(lines), encoding="utf-8")
    return [fault for fault in faults if "\nbut printed\n" not in fault]


def main(names: list[str]) -> None:
    for page in [Path(name).resolve() for name in names] or PAGES:
        for fault in rewrite(page):
            print(f"{page.relative_to(ROOT)}, {fault}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
