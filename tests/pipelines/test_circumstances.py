"""How and where work is done is no part of a result: all bytes that a manifest lists are the same, and so are all keys."""

import json
from pathlib import Path

import pytest

from spikeseg.config.circumstances import CIRCUMSTANCES, WITHOUT_RESULT, with_defaults
from spikeseg.config.load import dump, load_config
from spikeseg.pipelines.stages import prepare

ELSEWHERE = ["--set", "cache_dir=other/cache", "--set", "output_dir=other/runs", "--set", "experiment_name=other"]
OTHERWISE = ["--jobs", "2", "--log-level", "WARNING", "--backend", "cpu", "--set", "logging.log_interval=7", "--no-tensorboard"]


def results(folder: Path, *places: str) -> dict[str, dict]:
    """By stage and key: the outputs of every manifest."""
    manifests = [json.loads(path.read_text()) for place in places for path in (folder / place).rglob("*manifest.json")]
    return {f"{m['stage']} {m['config'].get('layer', '')} {m['key']}": m["outputs"] for m in manifests}


def checkpoints(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.pt")}


def test_jobs_and_folders_change_no_byte_of_a_result(chain, place):
    for words in (["prepare"], ["train-layer", "conv2"], ["train-layer", "conv3"], ["evaluate"]):
        training = words[0] == "train-layer"
        place.ok(*words, *ELSEWHERE, *(OTHERWISE if training else OTHERWISE[:-1]))
    expected = results(chain.folder, "data_cache", "runs")
    assert len(expected) >= 7 and results(place.folder, "other") == expected
    assert checkpoints(place.folder) == checkpoints(chain.folder)


def test_the_configuration_of_a_run_tells_of_no_jobs(world):
    changes = {"data.num_workers": 2, "backend": "cpu", "logging.log_level": "ERROR"}
    plain, other = world.run(), world.fresh({**changes, "output_dir": world.run().cfg.output_dir}, name="other")
    assert other.contents["config.yaml"] == plain.contents["config.yaml"]
    assert all(other.contents[name] == plain.contents[name] for name in plain.files if name.endswith(".pt"))


@pytest.mark.parametrize("spelling", ["{}/", "{}/../recordings", "link"])
def test_another_spelling_of_the_data_root_gives_the_same_key(world, tmp_path, spelling):
    root = Path(world.config().data.data_root)
    (tmp_path / "link").symlink_to(root)
    spelt = str(tmp_path / "link") if spelling == "link" else spelling.format(root)
    assert prepare.plan(world.config({"data.data_root": spelt})).ingredients.key == prepare.plan(world.config()).ingredients.key


def test_defaults_take_the_place_of_keys_and_sections():
    changes = {
        "device": "cpu",
        "data.num_workers": 3,
        "data.batch_size": 4,
        "logging.log_level": "DEBUG",
        "logging.log_interval": 5,
    }
    cfg = load_config(None, changes)
    assert dump(with_defaults(cfg, WITHOUT_RESULT)) == dump(load_config(None, {"data.batch_size": 4, "logging.log_interval": 5}))
    assert dump(with_defaults(cfg, CIRCUMSTANCES)) == dump(load_config(None, {"data.batch_size": 4}))
