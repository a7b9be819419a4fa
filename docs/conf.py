"""Sphinx's configuration of the site (`make docs`). Pages are Markdown, to be read as they are, too."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from myst_parser.parsers.sphinx_ import MystParser

import spikeseg

ROOT = Path(__file__).parents[1]

project = "spikeseg"
author = "The spikeseg developers"
project_copyright = "The spikeseg developers; GPL-3.0-or-later"
release = version = spikeseg.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown", ".ipynb": "notebook"}
exclude_patterns = ["_build"]
default_role = "code"  # what stands between single backticks in docstrings

html_theme = "furo"
html_title = "spikeseg"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

WHOLE = {
    "contributing": ("CONTRIBUTING.md", ""),
    "changelog": ("CHANGELOG.md", ""),
    "glossary": ("docs/architecture.md", "## Glossary"),
}
"""Pages that are another file, or the end of one from a heading on."""
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
"""Files beside docs/, and the pages that they are."""
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def linked(found: re.Match[str]) -> str:
    """A relative link as it is in the site: named by the page's title, where a file's name stands; of a file that is no page, its
    name alone."""
    text, path, anchor = found[1], found[2].removeprefix("../").removeprefix("docs/"), found[3] or ""
    if text in (path, f"docs/{path}") and path.endswith(".md"):
        text = ""
    if path in PAGES:
        return f"[{text}]({PAGES[path]}{'' if path == 'README.md' else anchor})"
    if (ROOT / "docs" / path).is_file():
        return f"[{text}]({path}{anchor})"
    return text if text.startswith("`") else f"`{text}`"


def read_page(_: Any, page: str, source: list[str]) -> None:
    """Of a page its text, with links that hold in the site; those of notebooks do. The index ends with what it leaves out."""
    if page.startswith("notebooks/"):
        return
    if page in WHOLE:
        file, heading = WHOLE[page]
        text = (ROOT / file).read_text(encoding="utf-8")
        source[0] = "# Glossary\n" + text.partition(heading)[2] if heading else text
    if page == "index":
        listed = set(source[0].splitlines()) | {"index"}
        others = sorted({path.stem for path in (ROOT / "docs").glob("*.md")} - listed)
        source[0] += "\n".join(["\n:::{toctree}", ":caption: More", ":hidden:", "", *others, ":::"]) if others else ""
    source[0] = LINK.sub(linked, source[0])


class NotebookParser(MystParser):
    """A notebook as a page: its text, its code, and the outputs that are kept in it."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: Any) -> None:
        """See docutils."""
        cells = json.loads(inputstring)["cells"]
        super().parse("\n\n".join(part for cell in cells for part in markdown(cell)), document)


def markdown(cell: dict[str, Any]) -> list[str]:
    """A cell of a notebook, and its outputs."""
    content = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [content]
    parts = [f"```python\n{content}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            image = base64.b64encode(base64.b64decode("".join(data["image/png"]))).decode()
            parts.append(f'<img alt="what the code above draws" src="data:image/png;base64,{image}">')
        elif text := "".join(output.get("text", data.get("text/plain", ""))):
            parts.append(f"```text\n{text}\n```")
    return parts


def inline_math(translator: Any, node: nodes.math) -> None:
    """An equation within a sentence, as MathML, which browsers draw without a script or a network."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """An equation of its own."""
    translator.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", read_page)
    app.add_source_parser(NotebookParser)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.add_css_file("site.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
