"""Videos: what stands in their frames, and that they come out of the encoder as they went in."""

import sys
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from spikeseg.errors import InputError
from spikeseg.viewing.style import GROUND, OBJECTS, OFF, ON, STAR, rgb
from spikeseg.viewing.video import FADES, FRAMES_PER_S, HEAD, frames, require_encoder, speed_of, write_video


def colours_of(image):
    packed = np.unique(np.asarray(image).astype(np.int64) @ [1 << 16, 1 << 8, 1])
    return {(number >> 16, number >> 8 & 255, number & 255) for number in packed.tolist()}


def test_events_fade_and_objects_and_stars_are_drawn(night):
    shown = list(frames(night, 5.0))
    assert len(shown) == FRAMES_PER_S // 5 and {image.size for image in shown} == {(720, 540 + HEAD)}
    middle = colours_of(shown[2])
    assert {rgb(OBJECTS[k]) for k in range(3)} | {rgb(ON), rgb(OFF), rgb(STAR), rgb(GROUND)} <= middle
    assert rgb(OBJECTS[3]) not in middle
    faded = tuple(np.rint(np.array(rgb(GROUND)) + FADES * np.subtract(rgb(ON), rgb(GROUND))).astype(int).tolist())
    assert faded in middle and faded not in colours_of(shown[0])


def test_every_event_is_drawn_once(night):
    alone = replace(night, tracks=night.tracks[:0], objects=night.objects[:0])
    columns = night.event_columns
    zoom, seen = 720 // 40, 0
    for image in frames(alone, 1.0):
        picture = np.asarray(image)[HEAD + zoom // 2 :: zoom, zoom // 2 :: zoom][:30]
        new = (picture == rgb(ON)).all(-1) | (picture == rgb(OFF)).all(-1)
        seen += int(new.sum())
    places = np.stack([columns["t"] // 40_000, columns["x"], columns["y"]])  # 25 frames a second
    assert seen == len(np.unique(places, axis=1).T)


def test_an_object_stands_where_its_track_says(night):
    one = replace(night, tracks=night.tracks[:10], event_columns={k: v.copy() for k, v in night.event_columns.items()})
    image = np.asarray(list(frames(one, 5.0))[2])  # up to 0.6 s, where it is at x = 14, y = 5
    y, x = np.nonzero((image[HEAD:] == rgb(OBJECTS[0])).all(-1))
    right = x[(y > 18 * 5.5 + 40)].max()  # of the box, below the number
    assert abs(right - 18 * (14 + 0.5 + 4.5)) <= 2


def test_mp4_has_all_frames_and_equal_bytes(night, tmp_path):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", night, 5.0)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert about["size"] == (720, 570) and about["fps"] == FRAMES_PER_S
    decoded = [np.frombuffer(frame, np.uint8).reshape(570, 720, 3).astype(int) for frame in reader]
    drawn = [np.asarray(image).astype(int) for image in frames(night, 5.0)]
    assert len(decoded) == len(drawn) == 5
    assert max(np.abs(a - b).mean() for a, b in zip(decoded, drawn, strict=True)) < 3


def test_gif_has_all_frames_in_order(makers, tmp_path):
    found, nothing = makers
    write_video(tmp_path / "a.gif", found(), 5.0)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 5 and image.size == (720, 570) and image.info["duration"] == 40
        image.seek(2)
        near = np.abs(np.asarray(image.convert("RGB")).astype(int) - np.asarray(list(frames(found(), 5.0))[2]))
    assert near[HEAD:].max() <= 20  # text aside, whose edges have colours between
    write_video(tmp_path / "dark.gif", nothing(), None)
    with Image.open(tmp_path / "dark.gif") as image:
        assert getattr(image, "n_frames", 1) == 1


def test_a_recording_lasts_ten_seconds_unless_told_otherwise():
    assert speed_of(50_000_000, None) == 5.0 and speed_of(50_000_000, 0.5) == 0.5
    assert speed_of(0, None) > 0
    with pytest.raises(InputError, match=r"--speed 0\.001: a recording of 50 s takes more than 100000 frames"):
        speed_of(50_000_000, 0.001)


def test_sides_of_any_sensor_are_even(makers):
    for size in ((40, 30), (41, 31), (1280, 721), (1, 1)):
        width, height = next(frames(replace(makers[1](), sensor_size=size))).size
        assert width % 2 == height % 2 == 0 and width >= 320


def test_without_the_encoder_the_extra_is_named(night, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match=r"--video needs imageio_ffmpeg; install it with: pip install 'spikeseg\[view\]'"):
        write_video(tmp_path / "a.mp4", night)


def test_a_machine_that_the_encoder_is_not_made_for_is_told_so(monkeypatch):
    def none():
        raise RuntimeError("No ffmpeg exe could be found.\nInstall ffmpeg")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(InputError, match="no encoder for this machine"):
        require_encoder("mp4")
    require_encoder("gif")


def test_an_encoder_that_fails_is_one_line_and_names_the_file(night, tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "count_frames_and_secs", lambda path: (3, 0.12))
    with pytest.raises(InputError, match=r"cannot write .*a\.mp4: the encoder has written 3 of 5 frames"):
        write_video(tmp_path / "a.mp4", night, 5.0)
