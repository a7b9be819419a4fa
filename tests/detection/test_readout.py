"""How a network is read: the configuration, or the calibration in its checkpoint."""

from pathlib import Path

import pytest

from spikeseg.config.load import load_config
from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.detection.readout import Readout, readout_of
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint

SMALL = {"model.conv2_channels": 2, "tracking.object_threshold": 0.3}


def test_the_configuration_says_what_is_an_object_and_no_file_is_read():
    cfg = load_config(None, {**SMALL, "evaluation.readout": "all"})
    assert readout_of(cfg, Path("nowhere.pt")) == Readout(0.3, ANY_RESPONSE, None)


def test_a_calibration_goes_before_the_configuration(tmp_path):
    cfg = load_config(None, {**SMALL, "evaluation.readout": "calibrated"})
    model = checkpoint.build(cfg)
    checkpoint.save(tmp_path / "plain.pt", model, cfg)
    checkpoint.save(tmp_path / "mine.pt", model, cfg, readout={"object_threshold": 0.7, "classes": [0]})
    assert readout_of(cfg, tmp_path / "mine.pt") == Readout(0.7, ANY_RESPONSE, [0])
    with pytest.raises(InputError, match="no calibrated readout; run `spikeseg sweep`"):
        readout_of(cfg, tmp_path / "plain.pt")
