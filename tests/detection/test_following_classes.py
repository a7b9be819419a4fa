"""Classes of the objects that are followed."""

import numpy as np
import pytest
import torch

from spikeseg.config import load_config
from spikeseg.detection.following_classes import FollowedClasses
from spikeseg.detection.objects import NO_CLASS, Slice, blobs_of
from spikeseg.detection.path_slices import COVER_PX
from spikeseg.detection.tables import Scale
from spikeseg.learning import checkpoint
from spikeseg.models.decoder import decode_sparse
from spikeseg.tracking.scene import ObjectTrack

CFG = load_config(
    None,
    {
        "device": "cpu",
        "model.n_classes": 2,
        "model.conv1_channels": 2,
        "model.conv2_channels": 2,
        "model.leaks": [0.0, 0.0, 0.0],
        "model.background_adaptive": False,
        "wta.enable_homeostasis": False,
    },
)
SCALE = Scale(2.0, 2.0)


@pytest.fixture(scope="module")
def model():
    """Class 0 takes OFF, class 1 ON."""
    network = checkpoint.build(CFG)
    with torch.no_grad():
        for layer in (network.encoder.conv1, network.encoder.conv2, network.encoder.conv3):
            layer.weight.zero_()
            layer.threshold.fill_(1.0)
            middle = layer.weight.shape[-1] // 2
            for k in (0, 1):
                layer.weight[k, k, middle, middle] = 1.0
    return network


def window(model, *patches):
    """A window of one step of 100 ms with patches (x, y, polarity) of 2 x 2 px: frames, spikes, slices."""
    frames = np.zeros((1, 1, 2, 40, 48), np.uint8)
    for x, y, polarity in patches:
        frames[0, 0, polarity, y : y + 2, x : x + 2] = 1
    spikes = model.infer(frames)
    (saliency,) = decode_sparse(model.encoder, frames, spikes)
    blobs = blobs_of(saliency.index, saliency.value.astype(np.float64), (40, 48), min_pixels=1)
    assert len(blobs.objects) == len(patches)
    return frames, spikes, [Slice(slice(0, 1), 0, 100_000, blobs)]


def track(x, y, number=1):
    """Something at a place of the sensor that does not move."""
    states = np.tile([float(x), float(y), 0.0, 0.0], (2, 1))
    nothing = np.zeros(2, np.int64)
    return number, ObjectTrack(number, np.array([0.0, 90_000.0]), nothing, nothing, states, states[:, 2:], 0.9)


def classes(model, names=None):
    return FollowedClasses(model, SCALE, names or {1: "satellite"})


LEFT, RIGHT = (20.5, 20.5), (60.5, 60.5)
"""Places on the sensor, of frames of half its size: of patches at (10, 10) and (30, 30), whose middle is at 10.5 and 30.5 px."""


def test_an_object_has_the_class_of_what_was_lit_up_where_it_is(model):
    followed = classes(model)
    followed.add(*window(model, (10, 10, 1), (30, 30, 0)), [track(*LEFT, 4), track(*RIGHT, 7), track(90, 10, 9)])
    assert (followed.of(4), followed.of(7)) == ((1, "satellite"), (0, ""))
    assert followed.of(9) == followed.of(5) == (NO_CLASS, "")


@pytest.mark.parametrize(("away", "reached"), [(COVER_PX, True), (np.nextafter(COVER_PX, 9.0), False)])
def test_what_is_lit_up_reaches_as_far_as_a_track_is_covered(model, away, reached):
    followed = classes(model)
    frames, spikes, (part,) = window(model, (10, 10, 1))
    part.blobs.objects["x"], part.blobs.objects["y"] = 0.0, 0.0  # at 0.5 px of the sensor
    followed.add(frames, spikes, [part], [track(0.5, 0.5 + away)])
    assert followed.of(1)[0] == (1 if reached else NO_CLASS)


def test_saliency_adds_up_from_window_to_window(model):
    followed = classes(model)
    followed.add(*window(model, (10, 10, 0)), [track(*LEFT)])
    assert followed.of(1)[0] == 0
    for _ in range(2):
        followed.add(*window(model, (10, 10, 1)), [track(*LEFT)])
    assert followed.of(1)[0] == 1


def test_what_is_forgotten_begins_anew(model):
    followed = classes(model)
    followed.add(*window(model, (10, 10, 0)), [track(*LEFT, 1), track(*LEFT, 2)])
    followed.keep({2})
    assert (followed.of(1)[0], followed.of(2)[0]) == (NO_CLASS, 0) and len(followed._saliency) == 1


def test_a_silent_window_and_one_without_objects_change_nothing(model):
    followed = classes(model)
    followed.add(*window(model), [track(*LEFT)])
    followed.add(*window(model, (10, 10, 0)), [])
    assert not followed._saliency
