"""The notebooks of docs/: run as they stand, they print what is kept in them."""

import contextlib
import io
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def printed(cell):
    """What a cell printed when it was last run."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout")


def cells_of(path):
    """The cells with code."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_run_whole_and_shows_a_picture(path):
    cells = cells_of(path)
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"])
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert path.stat().st_size < 400_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_prints_what_is_kept_in_it(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells_of(path):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
        assert out.getvalue() == printed(cell)
