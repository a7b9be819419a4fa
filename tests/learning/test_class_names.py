"""Names of classes: the file that holds them, and whose they are."""

import logging

import pytest
import torch
import yaml

from spikeseg.config import load_config
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint
from spikeseg.learning.class_names import LONGEST, name_classes, names_in, network_id
from spikeseg.learning.run_files import CLASS_NAMES


def network(**changes):
    settings = {"device": "cpu", "model.n_classes": 3, "model.conv2_channels": 2}
    return checkpoint.build(load_config(None, {**settings, **changes}))


def test_names_are_kept_changed_and_forgotten(tmp_path):
    model = network()
    assert names_in(tmp_path, model) == {} and not list(tmp_path.iterdir())
    assert name_classes(tmp_path, model, {2: " satellite ", 0: "éclair"}) == {0: "éclair", 2: "satellite"}
    assert names_in(tmp_path, model) == {0: "éclair", 2: "satellite"}
    assert name_classes(tmp_path, model, {1: "cloud", 2: "comet"}, [0]) == {1: "cloud", 2: "comet"}
    assert name_classes(tmp_path, model, {}, [1, 2]) == {} == names_in(tmp_path, model)


def test_the_file_is_as_documented(tmp_path):
    model = network()
    name_classes(tmp_path, model, {2: "satellite", 0: "no"})
    content = yaml.safe_load((tmp_path / CLASS_NAMES).read_text(encoding="utf-8"))
    assert content == {"version": 1, "networks": {network_id(model): {0: "no", 2: "satellite"}}}


def test_two_classes_may_have_one_name(tmp_path):
    assert name_classes(tmp_path, network(), {0: "bird", 2: "bird"}) == {0: "bird", 2: "bird"}


def test_names_are_those_of_weights_not_of_a_folder(tmp_path, caplog):
    old, new = network(), network(seed=7)
    name_classes(tmp_path, old, {0: "satellite"})
    with caplog.at_level(logging.WARNING):
        assert names_in(tmp_path, new) == {}
    assert "of other weights" in caplog.text
    name_classes(tmp_path, new, {0: "cloud"})
    assert (names_in(tmp_path, old), names_in(tmp_path, new)) == ({0: "satellite"}, {0: "cloud"})


def test_a_networks_id_is_that_of_its_weights_and_thresholds_alone():
    model, same = network(), network()
    model.footprint = torch.zeros(2, 3, 3).numpy()
    assert network_id(model) == network_id(same) != network_id(network(seed=7))
    same.encoder.conv3.threshold += 1
    assert network_id(model) != network_id(same)


@pytest.mark.parametrize(
    ("names", "forgotten", "told"),
    [
        ({3: "cat"}, [], "class 3: the network's classes are 0 to 2"),
        ({}, [1], r"class 1: has no name to forget; named are 0 \(cat\)"),
        ({1: "  "}, [], "class 1: name '  ', must be 1 to 40"),
        ({1: "two\nlines"}, [], "in one line"),
        ({1: "x" * (LONGEST + 1)}, [], "must be 1 to 40"),
    ],
)
def test_what_is_refused_changes_nothing(tmp_path, names, forgotten, told):
    model = network()
    name_classes(tmp_path, model, {0: "cat"})
    before = (tmp_path / CLASS_NAMES).read_bytes()
    with pytest.raises(InputError, match=told):
        name_classes(tmp_path, model, names, forgotten)
    assert (tmp_path / CLASS_NAMES).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "not valid YAML"),
        ("3: satellite", "must hold the keys version"),
        ("{version: 2, networks: {}}", "must hold the keys version"),
        ("{version: 1, networks: {}, more: 1}", "must hold the keys version"),
        ("{version: 1, networks: [a]}", "networks: found"),
        ("{version: 1, networks: {abc: [a]}}", "networks.abc: found"),
        ("{version: 1, networks: {abc: {x: a}}}", "class 'x', must be a whole number"),
        ("{version: 1, networks: {abc: {true: a}}}", "class True, must be a whole number"),
        ("{version: 1, networks: {abc: {0: 5}}}", "networks.abc.0: name 5"),
        ("{version: 1, networks: {abc: {0: ' a'}}}", "must not begin or end with a blank"),
        ("{version: 1, networks: !!python/object/apply:os.getcwd []}", "not valid YAML"),
    ],
)
def test_a_file_that_somebody_changed_is_one_line(tmp_path, text, told):
    (tmp_path / CLASS_NAMES).write_text(text)
    with pytest.raises(InputError, match=told) as error:
        names_in(tmp_path, network())
    assert CLASS_NAMES in str(error.value) and "\n" not in str(error.value)
