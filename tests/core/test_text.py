"""Numbers in sentences."""

from spikeseg.core.text import many
from spikeseg.errors import nearest


def test_one_is_one_and_thousands_are_parted():
    assert [many(n, "star") for n in (0, 1, 2, 1200)] == ["0 stars", "1 star", "2 stars", "1,200 stars"]


def test_the_nearest_name_is_said_where_one_is_like_it():
    assert nearest("flies", ["images", "files"]) == "; nearest: files" and nearest(["x"], ["images"]) == nearest("", []) == ""
