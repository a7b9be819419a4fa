"""`spikeseg export`: files of every format, what is lost, and the fit to a chip with its accuracy."""

import json

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.export import arrays, files
from spikeseg.export.nir_graph import metadata_of, read_nir
from spikeseg.learning import checkpoint
from spikeseg.learning.run_files import best_checkpoint
from spikeseg.pipelines.commands.export import parsed_size


@pytest.fixture(scope="module")
def run(chain):
    (folder,) = (chain.folder / "runs").glob("tiny-*")
    return f"runs/{folder.name}"


def test_a_run_is_written_in_every_format(chain, run):
    model, _ = checkpoint.load(best_checkpoint(chain.folder / run))
    for kind, suffix in files.SUFFIXES.items():
        said = chain.ok("export", run, "-o", f"mine{suffix}", config=False)
        assert f"wrote mine{suffix} ({kind}, frames of 60x45 px)" in said and "not in the file: decoder: " in said
        assert ("not in the file: floor: " in said) == (kind == "nir")
    for name in ("mine.safetensors", "mine.npz"):
        read = arrays.read(chain.folder / name)
        assert read.size == (45, 60)
        for layer, own in zip(read.layers, model.encoder.chain(), strict=True):
            assert np.array_equal(layer.weight, np.round(own.weight.numpy() * 4096) / np.float32(4096))
    assert metadata_of(read_nir(chain.folder / "mine.nir"))["notes"]["step_ms"] == 25.0
    assert len(files.read_norse(chain.folder / "mine.pt")) == 8


def test_a_packaged_network_needs_no_run(place):
    said = place.ok("export", "nights", "--size", "64x48", "--background", "0.01", config=False)
    assert "wrote nights.nir (nir, frames of 64x48 px)" in said and "for an even background of 0.01" in said
    assert read_nir(place.folder / "nights.nir").nodes["conv1"].input_type["input"].tolist() == [2, 48, 64]


def test_what_cannot_be_written_is_refused(chain, run):
    assert "mine.onnx: says no format" in chain.refused("export", run, "-o", "mine.onnx", config=False)
    assert "--size: found '64'" in chain.refused("export", run, "--size", "64", config=False)
    large = ("export", "nights", "--size", "8192x8192", "--set", "data.n_timesteps=64")
    assert "frames of 8192x8192: a window of" in chain.refused(*large, config=False)
    assert "thresholds do not follow it" in chain.refused("export", "scenes", "--background", "1", config=False)
    for words in (["--format", "nir"], ["--output", "mine.nir"]):
        assert chain("export", run, "--fit", "speck", *words, config=False).exit_code == 2
    assert parsed_size(" 240 x 180 ") == (180, 240)
    with pytest.raises(InputError):
        parsed_size("-3x4")


def test_the_fit_scores_the_network_in_integers(chain, run):
    said = chain.ok("export", run, "--fit", "speck", "-o", "fit.json", config=False)
    report = json.loads((chain.folder / "fit.json").read_text())
    assert "speck, tiles of 64x64 px: fits" in said and "event ROC-AUC, " in said and "SynOps/s" in said
    assert report["fits"] and [layer["name"] for layer in report["layers"]] == ["conv1", "conv2", "conv3"]
    metrics = json.loads(next(chain.folder.glob(f"{run}/evaluate/*/metrics.json")).read_text())
    assert report["recordings"] == metrics["recordings"]
    expected = metrics["modes"]["event"]["saliency"]
    assert report["accuracy"]["trained"]["roc_auc"] == expected["roc_auc"]
    assert set(report["accuracy"]) == {"trained", "int8", "int8_fixed"}
    assert all(rate > 0 for rate in report["synops_per_s"].values())


def test_without_recordings_the_fit_says_so(place):
    said = place.ok("export", "scenes", "--fit", "speck", "--size", "128x128", config=False)
    assert "does not fit" in said and "width of a map: 128, at most 64" in said
    assert "note: accuracy was not measured: " in said
