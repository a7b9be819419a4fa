"""What a file is, in words."""

import json
import zipfile

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spikeseg.core.kinds import kind_of


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("kinds")
    (root / "folder").mkdir()
    np.savez(root / "a.npz", t=np.arange(3))
    np.save(root / "a.npy", np.arange(3))
    torch.save({"a": 1}, root / "a.pt")
    save_file({"a": torch.zeros(3)}, root / "a.safetensors")
    h5py.File(root / "a.h5", "w").close()
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    contents = {
        "cut.pt": (root / "a.pt").read_bytes()[:100],
        "empty": b"",
        "a.json": json.dumps({"a": 1}).encode(),
        "a.txt": "a text, with ü\n".encode() * 1000,
        "list.txt": b"[half of a list",
        "a.bin": bytes(range(256)),
        "latin.txt": "ü".encode("latin-1"),
        "a.png": b"\x89PNG\r\n\x1a\n",
        "a.fits": b"SIMPLE  =                    T",
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("folder", "a folder"), ("a.npz", "arrays of numpy (.npz)"), ("a.npy", "an array of numpy (.npy)"),
        ("a.pt", "a file of torch"), ("a.safetensors", "a safetensors file"), ("a.h5", "an HDF5 file"), ("a.zip", "a zip file"),
        ("cut.pt", "a zip file that is cut off or damaged"), ("empty", "an empty file"), ("a.json", "JSON"), ("a.txt", "text"),
        ("list.txt", "text"), ("a.bin", "binary data"), ("latin.txt", "binary data"), ("a.png", "a PNG picture"),
        ("a.fits", "a FITS file"), ("gone", "not readable"),
    ],
)  # fmt: skip
def test_a_file_is_told_by_its_first_bytes(files, name, kind):
    assert kind_of(files / name) == kind
