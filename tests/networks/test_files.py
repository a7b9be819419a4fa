"""The networks that come with the package: whole, trained, as their recipe and the built-in configurations have them."""

import io
from pathlib import Path

import pytest

import spikeseg as ss
from spikeseg.api.packaged import RECIPES
from spikeseg.config.circumstances import CIRCUMSTANCES, with_defaults
from spikeseg.config.load import load_config, to_dict
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint
from spikeseg.motion.footprint import Footprint
from spikeseg.networks import NAMES, file_of


def test_there_is_a_file_and_a_recipe_for_each():
    assert set(RECIPES) == {*NAMES} == {"nights", "scenes"}
    assert {path.stem for path in file_of("nights").parent.glob("*.safetensors")} == {*NAMES}
    assert all(file_of(name).stat().st_size < 80_000 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_saving_its_network_writes(name):
    """So whoever changes how networks are saved has to write them anew (`spikeseg reproduce NAME`)."""
    model, meta = checkpoint.load(file_of(name))
    written = io.BytesIO()
    checkpoint.save_safetensors(written, model, meta["config"])
    assert written.getvalue() == file_of(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_its_configuration_is_the_built_in_one_of_today(name):
    config = checkpoint.load(file_of(name))[1]["config"]
    today = with_defaults(load_config(RECIPES[name].config, {"device": config.device}), CIRCUMSTANCES)
    assert to_dict(with_defaults(config, CIRCUMSTANCES)) == to_dict(today)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained(name):
    model, _ = checkpoint.load(file_of(name))
    assert checkpoint.is_trained(file_of(name))
    for layer in ("conv2", "conv3"):
        weight = model.encoder.layer(layer).weight
        assert float((weight * (1 - weight)).mean()) < 0.01  # C_l: the weights have decided
    assert {layer for layer, drive in model.encoder.drives.items() if drive > 0} == (
        {"conv2", "conv3"} if name == "scenes" else set()
    )


def test_nights_knows_the_footprint_of_moving_points():
    on, off = Footprint(checkpoint.load(file_of("nights"))[0].footprint).displacement()
    assert on > 0.7 and off < -0.7
    assert checkpoint.load(file_of("scenes"))[0].footprint is None


def test_the_front_door_loads_it_by_its_name(tmp_path):
    network = ss.load("nights", {"device": "cpu", "tracking.min_hits": 4})
    assert network.config.model.motion and network.config.tracking.min_hits == 4 and network.class_names == {}
    assert network.save(tmp_path / "mine.safetensors").read_bytes() != file_of("nights").read_bytes()  # another configuration
    assert ss.load(str(tmp_path / "mine.safetensors")).config.tracking.min_hits == 4
    with pytest.raises(InputError, match="no such checkpoint"):
        ss.load(Path("nights"))  # a path is a path
