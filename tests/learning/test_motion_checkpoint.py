"""A run's motion layer counts where the configuration has one, it is finished, and its file is there."""

import dataclasses

import pytest

from spikeseg.config.sections import Config, ModelConfig
from spikeseg.learning.run_files import MOTION, MOTION_LAYER, checkpoint_folder, manifest_path, motion_checkpoint


@pytest.mark.parametrize("motion", [False, True])
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_all_three_are_needed(tmp_path, motion, finished, there):
    cfg = Config(model=dataclasses.replace(ModelConfig(), motion=motion))
    path = checkpoint_folder(cfg, tmp_path) / MOTION
    path.parent.mkdir(parents=True, exist_ok=True)
    if finished:
        manifest_path(tmp_path, MOTION_LAYER).write_text("{}")
    if there:
        path.write_bytes(b"some")
    assert motion_checkpoint(cfg, tmp_path) == (path if motion and finished and there else None)
