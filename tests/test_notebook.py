"""docs/notebook.ipynb runs from top to bottom, and shows what it showed when it was last looked at.

`pytest tests/test_notebook.py --update-golden` writes its outputs anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from printed import assert_alike

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
ROOT = NOTEBOOK.parent.parent


@pytest.fixture(scope="module")
def notebook():
    """As it is in the repository."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(notebook, tmp_path_factory):
    """The same, run now by a kernel of its own with this Python."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for library in ("pandas", "matplotlib"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("kernels")
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "this Python", "language": "python"}  # fmt: skip
    (folder / "kernels" / "here").mkdir(parents=True)
    (folder / "kernels" / "here" / "kernel.json").write_text(json.dumps(spec))
    settings = {"JUPYTER_PATH": str(folder), "IPYTHONDIR": str(folder / "ipython"),
                "JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder),
                "PYTHONPATH": str(ROOT)}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        found = nbformat.reads(json.dumps(notebook), as_version=4)
        client = nbclient.NotebookClient(
            found, timeout=300, kernel_name="here", resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    return found


def _code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _texts(cell):
    """By kind, what a cell has shown; of pictures, that there is one."""
    shown = {}
    for output in cell["outputs"]:
        kinds = output.get("data") or {"stream": output.get("text")}
        for kind, text in kinds.items():
            text = "".join(text) if isinstance(text, list) else text
            shown[kind] = "there" if kind.startswith("image/") else shown.get(kind, "") + text
    return shown


def _is_left_of_a_bar(output):
    return output["output_type"] == "display_data" and output["data"].get("text/html") == ""


def _is_bar(output):
    return "<progress" in "".join(output.get("data", {}).get("text/html", ""))


@pytest.mark.notebook
def test_it_shows_what_happens(notebook, run, request):
    for now in _code(run):
        now["outputs"] = [output for output in now["outputs"] if not _is_left_of_a_bar(output)]
        assert not any(map(_is_bar, now["outputs"]))
    if request.config.getoption("--update-golden"):
        for cell, now in zip(_code(notebook), _code(run), strict=True):
            cell["outputs"] = json.loads(json.dumps(now["outputs"]))
            cell["execution_count"] = now["execution_count"]
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        NOTEBOOK.write_text(text, encoding="utf-8", newline="\n")
    for cell, now in zip(_code(notebook), _code(run), strict=True):
        before, shown = _texts(cell), _texts(now)
        assert before.keys() == shown.keys(), cell["source"]
        for kind, text in shown.items():
            assert_alike(text, before[kind])


def test_it_is_short_and_has_its_outputs(notebook):
    assert len(_code(notebook)) < 12
    assert all(cell["outputs"] for cell in _code(notebook)[1:])
    assert NOTEBOOK.stat().st_size < 300_000
    shown = [_texts(cell) for cell in _code(notebook)]
    for kind in ("text/html", "text/markdown", "image/png", "stream"):
        assert any(kind in one for one in shown), kind
    assert not any(
        name in json.dumps(notebook) for name in ("Traceback", "Warning", str(Path.home()))
    )
