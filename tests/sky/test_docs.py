"""docs/sky.md against the layout."""

import re
from pathlib import Path

from spikeseg.detection.schema import SKY_COLUMNS, UTC_COLUMNS
from spikeseg.pipelines.commands.options import names_of
from spikeseg.pipelines.commands.sky import OPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "sky.md").read_text(encoding="utf-8")


def test_the_page_names_every_column_and_option():
    named = set(re.findall(r"`([\w-]+)`", PAGE))
    columns = {name for kind in (SKY_COLUMNS, UTC_COLUMNS) for table in kind.values() for name in table}
    assert columns <= named
    assert not [name for name in names_of(OPTIONS) if f"--{name.replace('_', '-')}" not in PAGE]
