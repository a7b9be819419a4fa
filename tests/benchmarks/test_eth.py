"""The benchmark of ETH-80: who learns from what, how figures are compared, and that it runs."""

import numpy as np
import pytest

from spikeseg.config.load import load_config, parse_overrides
from spikeseg.learning.classifier import Scored


@pytest.fixture(scope="module")
def eth(script):
    return script("eth")


@pytest.fixture(scope="module")
def pictures(eth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "p"
    eth.drawn(folder, 3, 4)
    own = {**parse_overrides(eth.QUICK), "device": "cpu", "data.data_root": str(folder), "images.max_images": 20}
    return eth.coded(load_config(eth.CONFIG, overrides=own))


def test_all_images_are_there_whichever_part_they_were_in(pictures):
    assert pictures.images.labels.tolist() == [0] * 12 + [1] * 12 and pictures.lists[0].samples == 24
    assert pictures.objects.tolist() == np.repeat(range(6), 4).tolist()
    assert pictures.images.objects[::4].tolist() == ["cross0", "cross1", "cross2", "ring0", "ring1", "ring2"]


def test_objects_are_dealt_whole_and_each_class_evenly(eth):
    objects = np.repeat(range(12), 5)
    labels = objects // 6
    for seed in range(3):
        fold = eth.dealt(labels, objects, 3, seed)
        of_object = fold.reshape(12, 5)
        assert (of_object == of_object[:, :1]).all()
        assert [np.bincount(of_object[k : k + 6, 0]).tolist() for k in (0, 6)] == [[2, 2, 2]] * 2
    assert (eth.dealt(labels, objects, 3, 0) != eth.dealt(labels, objects, 3, 1)).any()


def test_no_object_is_scored_by_what_has_seen_it(eth, pictures, monkeypatch):
    """Neither by a network nor by a read-out, nor by the choice of its C."""
    objects, learned, compared, chosen = pictures.objects, [], [], []
    fold = eth.dealt(pictures.images.labels, objects, 3, 0)
    train, score = eth.train_network, eth.score_linear

    def noted_training(network, lists, cfg):
        learned.append(lists)
        return train(network, lists, cfg)

    def noted(a, labels, b, truth, c):
        if a.shape[1] == 1:
            compared.append((set(objects[a.ravel()]), set(objects[b.ravel()])))
        return score(a, labels, b, truth, c)

    monkeypatch.setattr(eth, "train_network", noted_training)
    monkeypatch.setattr(eth, "score_linear", noted)
    monkeypatch.setattr(eth, "validated", lambda _features, _labels, _objects, rows: chosen.append(rows) or 0.01)
    correct, seconds, shown = eth.scored(pictures._replace(plain={0: {"number": np.arange(24)[:, None]}}), fold, 5)
    assert [len(a) + len(b) for a, b in compared] == [6] * 3 and not any(a & b for a, b in compared)
    assert set.union(*(b for _, b in compared)) == set(range(6))
    for number, (rows, lists) in enumerate(zip(chosen, learned, strict=True)):
        assert rows.tolist() == np.flatnonzero(fold != number).tolist()
        np.testing.assert_array_equal(lists.dense(), pictures.lists[0].chosen(rows).dense())
    assert len(seconds) == 3 and shown == [20] * 3
    assert len(correct) == 5 and all(right.shape == (24,) for right in correct.values())


def test_c_is_chosen_by_objects_among_the_rows_given(eth, monkeypatch):
    objects = np.repeat(range(6), 2)
    labels, features = objects // 3, objects[:, None].astype(np.float64)
    rows = np.flatnonzero(objects != 5)

    def noted(a, _labels, b, truth, c):
        assert not set(a.ravel()) & set(b.ravel()) and 5 not in a and 5 not in b
        return Scored(0, 0, truth if c == eth.LINEAR_C[2] else 1 - truth)

    monkeypatch.setattr(eth, "score_linear", noted)
    assert eth.validated(features, labels, objects, rows) == eth.LINEAR_C[2]


def test_moved_images_are_scored_by_what_learned_from_images_as_they_are(eth, pictures):
    still = np.zeros((24, 24, 24), np.uint8)
    still[:, 10, 12] = 200
    moved = np.argwhere(eth.shifted(still, 4))
    assert (
        moved[:, 0].tolist() == list(range(24)) and (abs(moved[:, 1:] - (10, 12)) <= 4).all() and len(np.unique(moved[:, 1:])) > 5
    )
    fold = eth.dealt(pictures.images.labels, pictures.objects, 3, 0)
    unseen = {
        0: {"edges": pictures.plain[0][eth.EDGES]},
        4: {"edges": pictures.plain[0][eth.EDGES]},
        8: {"edges": np.zeros((24, 576))},
    }
    correct, _, _ = eth.scored(pictures._replace(plain=unseen, lists={**pictures.lists, 4: pictures.lists[0]}), fold, 5)
    for title in ("edges", eth.TRAINED):
        np.testing.assert_array_equal(correct[title, 4], correct[title, 0])
    assert correct["edges", 8].sum() == 12  # all of one class


def test_a_painted_backdrop_leaves_the_object_alone(eth, tmp_path):
    from skimage.io import imread, imsave

    (tmp_path / "in" / "cup").mkdir(parents=True)
    for k, blue in enumerate((90, 200)):
        image = np.full((12, 12, 3), (20, 30, blue), np.uint8)
        image[3:8, 4:9] = (180, 150, 90)
        image[5, 6] = (20, 60, 255)  # a blue spot on the object is not the backdrop
        imsave(tmp_path / "in" / "cup" / f"cup{k}-0.png", image, check_contrast=False)
    eth.painted(tmp_path / "in", tmp_path / "out")
    one, other = (imread(tmp_path / "out" / "cup" / f"cup{k}-0.png") for k in (0, 1))
    assert np.array_equal(one, other) and one.shape == (12, 12) and len(np.unique(one)) == 3
    assert (one != one[0, 0]).sum() >= 21 and not (one[:3] != one[0, 0]).any()


def test_intervals_are_over_objects(eth):
    """One object of six that is always wrong is a sixth, more or less; images of an object are not independent."""
    objects = np.repeat(range(12), 41)
    labels = objects // 6
    right = np.tile(objects != 3, (5, 1)).astype(np.int64)
    mean, low, high = eth.resampled(right, labels, objects)
    assert mean == pytest.approx(11 / 12) and low == pytest.approx(9 / 12) and high == 1
    independent = np.tile(np.random.default_rng(0).random(492) < 11 / 12, (5, 1)).astype(np.int64)
    mean, low, high = eth.resampled(independent, labels, objects)
    assert high - low < 0.08
    assert eth.resampled(np.zeros((5, 492), np.int64), labels, objects) == [0, 0, 0]


def test_a_quick_run(quick):
    printed, found = quick("eth", "--markdown")
    assert found["images"] == 48 and found["networks"] == found["folds"] == 2
    rows = {row["title"]: row for row in found["rows"] if not row.get("moved")}
    assert len(rows) == 8 and rows["trained network"]["accuracy"][0] > 0.9
    assert rows["linear SVM on the outermost 2 pixels alone"]["accuracy"][0] < 0.8
    assert "| trained network of kheradpisheh2018_eth80 |" in printed and "images shown" in printed
