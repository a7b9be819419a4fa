"""A file of the wrong kind, wherever one is given: what it is, what was expected, and no work before that is said."""

import numpy as np
import pytest
import torch


@pytest.fixture
def given(place):
    """notes.txt, a recording, a torch file of somebody else, a folder of a run."""
    (place.folder / "notes.txt").write_text("hello, these are notes\n")
    (place.folder / "table.json").write_text('{"name": 1, "rows": [], "columns": []}')
    events = {"t": np.arange(100) * 1000, "x": np.ones(100, int), "y": np.ones(100, int), "p": np.ones(100, int)}
    np.savez(place.folder / "night.npz", **events, sensor_size=[16, 12])
    torch.save({"weights": 1}, place.folder / "other.pt")
    (place.folder / "mine").mkdir()
    (place.folder / "mine" / "config.yaml").write_text("seed: 1\n")
    return place


def files_of(place):
    return sorted(place.folder.rglob("*"))


NETWORK = "expected a run's folder, a checkpoint of training (checkpoints/*.pt in it), or a network saved as .safetensors"
YAML = "expected YAML with keys and values, such as `seed: 1`, or the name of a built-in one"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["detect", "night.npz", "--network", "notes.txt"], f"notes.txt: not a readable checkpoint: it is text; {NETWORK}"),
        (["detect", "night.npz", "--network", "night.npz"], "night.npz: not a readable checkpoint: it is arrays of numpy ("),
        (["detect", "night.npz", "--network", "other.pt"], f"not a spikeseg checkpoint: it is a file of torch; {NETWORK}"),
        (["evaluate", "--network", "table.json"], "table.json: not a readable checkpoint: it is JSON; "),
        (["export", "notes.txt"], "notes.txt: not a readable checkpoint: it is text; "),
        (["classes", "notes.txt"], "notes.txt: not a readable checkpoint: it is text; "),
        (["train", "--resume", "notes.txt"], "notes.txt: not a readable checkpoint: it is text; "),
        (["prepare", "-c", "night.npz"], f"night.npz: no configuration, but arrays of numpy (.npz); {YAML}"),
        (["prepare", "-c", "notes.txt"], f"notes.txt: holds text without keys; {YAML}"),
        (["prepare", "-c", "table.json"], "no configuration; none of its keys ('name', 'rows', 'columns', ...) is one of a"),
        (["prepare", "-c", "mine"], "mine: is a folder; name the configuration in it, mine/config.yaml"),
        (["prepare", "--set", "cache_dir=notes.txt"], "cache_dir: notes.txt is a file; name a folder"),
        (["train", "--set", "output_dir=notes.txt"], "output_dir: notes.txt is a file; name a folder"),
        (["compare", "notes.txt", "mine"], "notes.txt: is no JSON (it is text; expected a run's folder or a metrics.json;"),
        (["detect", "other.pt", "--network", "nights"], "other.pt: is a file of torch, as networks are, and no recording; "),
        (["detect", "tiny.yaml", "--network", "nights"], "tiny.yaml: is in no format known here, but text; readable: "),
        (["detect", "night.npz", "--network", "nights", "--review", "notes.txt"], "a review (it is text; expected the file"),
        (["train", "--dataset", "files", "--data-root", ".", "--train-recordings", "night.npz"],
         "as a list of recordings (it is arrays of numpy (.npz); expected text, a name or path a line)"),
    ],
)  # fmt: skip
def test_it_is_told_what_it_is_and_what_was_expected(given, words, told):
    before = files_of(given)
    assert told in given.refused(*words, config=False)
    assert files_of(given) == before
