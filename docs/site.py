"""For mkdocs: each notebook of docs/ is a page of the site too, with the outputs that it holds; and
the switch between light and dark works."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_CODE = re.compile(r"`[^`]+`")
_FIGURE = re.compile(r'<p>(?P<image><img [^>]*src="[^"]*figures/(?P<name>[\w-]+\.svg)")')
_WIDE = 300  # points: a column of a paper has fewer


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each notebook, which stays there to be taken along."""
    from mkdocs.structure.files import File

    for path in Path(config.docs_dir).glob("*.ipynb"):
        files.append(File.generated(config, f"{path.stem}.md", content=page(path)))
    return files


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """What GitHub reads otherwise: links to a notebook, which it shows as it is, lead to its page;
    a stroke in the code of a table needs no backslash."""
    if page.file.generated_by:
        return text
    text = re.sub(r"\(([\w-]+)\.ipynb\)", r"(\1.md)", text)
    rows = re.compile(r"^\|.*$", re.MULTILINE)
    return rows.sub(lambda row: _CODE.sub(lambda code: code[0].replace(r"\|", "|"), row[0]), text)


def on_post_page(html: str, **_: Any) -> str:
    """The theme's script stops where it does not find the styles of a highlighter, which is off;
    what may be scrolled is reached by the keyboard."""
    styles = '<template id="hljs-light"></template><template id="hljs-dark"></template>'
    html = re.sub(r"(<pre[^>]*>(?:<span></span>)?<code|<table)\b", r'\1 tabindex="0"', html)
    html = _FIGURE.sub(_scrolled, html)
    return html.replace("</head>", f"{styles}</head>", 1)


def _scrolled(found: re.Match[str]) -> str:
    """The paragraph of a figure; of one as wide as a page it scrolls where there is no room."""
    head = (Path(__file__).parent / "figures" / found["name"]).read_text(encoding="utf-8")[:1000]
    width = re.search(r'width="([\d.]+)pt"', head)
    wide = width is not None and float(width[1]) > _WIDE
    return f'<p class="wide" tabindex="0">{found["image"]}' if wide else found[0]


def page(path: Path) -> str:
    """The Markdown of a notebook, cell by cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    return "\n\n".join([*parts, f"[This page as a notebook]({path.name})"]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    if cell["cell_type"] != "code":
        return ["".join(cell["source"])]
    found = [_block("".join(cell["source"]), "python")]
    for output in cell["outputs"]:
        data = {kind: "".join(lines) for kind, lines in output.get("data", {}).items()
                if kind.startswith(("text/", "image/"))}  # fmt: skip
        if "text/markdown" in data:
            found.append(data["text/markdown"].strip())
        elif "image/png" in data:
            picture = data["image/png"].replace("\n", "")
            found.append(f"![{data.get('text/plain', 'Figure')}](data:image/png;base64,{picture})")
        elif "text/html" in data:
            table = re.sub(r"<style.*?</style>|\s*\n\s*", "", data["text/html"], flags=re.DOTALL)
            found.append(f"<div>{table}</div>")
        else:
            found.append(_block(data.get("text/plain") or "".join(output.get("text", [])), "text"))
    return found


def _block(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"
