"""Files of every format are written whole, read back as they were, and run nothing."""

import pickle

import numpy as np
import pytest
import torch

from spikeseg.errors import InputError
from spikeseg.export import arrays, files

ARRAYS = ("safetensors", "npz")


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_come_back_as_they_were(kinds, tmp_path, kind):
    for network in kinds.values():
        path = files.write(tmp_path / "network", network, kind)
        again = arrays.read(path)
        assert again.geometry() == network.geometry()
        for layer, own in zip(again.layers, network.layers, strict=True):
            assert np.array_equal(layer.weight, own.weight) and np.array_equal(layer.threshold, own.threshold)
        content = path.read_bytes()
        assert files.write(tmp_path / "network", network, kind).read_bytes() == content


@pytest.mark.parametrize("kind", [*ARRAYS, "norse"])
def test_a_damaged_file_is_one_line(kinds, tmp_path, kind):
    path = files.write(tmp_path / "network", kinds["pool"], kind)
    whole = path.read_bytes()
    read = files.read_norse if kind == "norse" else arrays.read
    for content in (b"", b"PK", whole[: len(whole) // 2], whole[:40], b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match="network"):
            read(path)
    path.unlink()
    with pytest.raises(InputError, match="o such file"):
        read(path)


class Program:
    """Makes a file where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_file_runs_a_program(tmp_path):
    made = tmp_path / "made"
    np.savez(tmp_path / "x.npz", geometry=np.array([Program(made)], dtype=object))
    torch.save({"geometry": Program(made)}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Program(made)))
    with pytest.raises(InputError):
        arrays.read(tmp_path / "x.npz")
    for name in ("x.pt", "y.pt"):
        with pytest.raises(InputError):
            files.read_norse(tmp_path / name)
    assert not made.exists()


def test_norse_comes_back_and_gives_the_same_spikes(kinds, inputs, ours, tmp_path):
    for network in kinds.values():
        loaded = files.read_norse(files.write(tmp_path / "network.pt", network, "norse"))
        frames = inputs(network.size)[40:60]
        state, spikes = None, []
        for frame in torch.from_numpy(frames).float().transpose(0, 1):
            fired, state = loaded(frame, state)
            spikes.append(fired)
        assert np.array_equal(torch.stack(spikes, 1).numpy(), ours(network, frames))


def test_a_name_says_the_format():
    assert [files.format_of(f"a/b{suffix}") for suffix in files.SUFFIXES.values()] == [*files.SUFFIXES]
    with pytest.raises(InputError, match=r"a\.onnx: says no format; name one with --format"):
        files.format_of("a.onnx")
    with pytest.raises(InputError, match="format: found 'onnx', must be one of nir, safetensors, npz, norse"):
        files.write("x", None, "onnx")
