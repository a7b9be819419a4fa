"""Which reader is asked, and how other files are refused."""

import os

import pytest

from spikeseg.data.readers import Reader, read, streamed
from spikeseg.data.readers.formats import detect
from spikeseg.errors import InputError
from spikeseg.registries import READERS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.raw", b"% Date 2020\n% evt 2.2\n\x01\x02", "Prophesee 2.2 is not supported"),
        ("noname", b"% evt 4.0\n\x01\x02", "Prophesee 4.0 is not supported"),
        ("a.raw", b"\x01\x02\x03", "Prophesee .raw without a header is not supported"),
        ("a.raw", b"% Date 2020\n\x01\x02\x03", "Prophesee .raw of no encoding is not supported"),
        ("a.aedat", b"#!AER-DAT1.0\r\n", "AEDAT 1 is not supported"),
        ("a.aedat", b"\x00\x00\x00\x00", "AEDAT of unknown version is not supported"),
        ("a.db3.zstd", b"\x28\xb5\x2f\xfd", "unpack it first: `zstd -d FILE`"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00", "unpack it first"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "no format known here"),
        ("README.md", b"# Readme\n\nText.\n", "no format known here"),
        ("a.mat", b"something else", "no format known here"),
        ("a.csv", b"", "empty"),
        ("a.h5", b"\x89HDF", "no format known here"),
    ],
)
def test_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_file_without_permission(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("0,1,1,1\n")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read(path)


def test_a_member_needs_a_file_of_several(tmp_path):
    (tmp_path / "a.csv").write_text("0,1,1,1\n")
    with pytest.raises(
        InputError, match="names a recording of an HDF5 file, a topic of a bag, a stream of AEDAT; this one is text"
    ):
        read(f"{tmp_path / 'a.csv'}::rec")


def test_a_name_with_colons_is_a_name(tmp_path):
    path = tmp_path / "a::b.csv"
    path.write_text("0,1,1,1\n")
    assert len(read(path).events) == 1


def test_content_goes_before_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"% evt 3.0\n\x01\x02")
    assert detect(path) == "evt3"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.raw", b"% Date 2020\n% evt 2.0\n\x01\x02", "evt2"),
        ("noname", b"% format EVT3;height=720;width=1280\n% end\n\x01\x02", "evt3"),
        ("a.dat", b"% Data file containing events.\n% Version 2\n\x00\x08", "dat"),
        ("noname", b"Event Stream\x02\x00\x00", "es"),
    ],
)
def test_found_by_content(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content)
    assert detect(tmp_path / name) == found and found in READERS
    assert streamed(tmp_path / name)


def test_a_reader_has_one_way_to_read():
    with pytest.raises(ValueError, match="one of stream, stream_member, read and read_member"):
        Reader("none")
    with pytest.raises(ValueError, match="one of stream, stream_member, read and read_member"):
        Reader("two", stream=READERS["npy"].stream, read=READERS["nmnist"].read)
