"""`spikeseg info`: what recordings hold, whatever their format, and what cannot be read."""

import json
import shutil
import struct
import tracemalloc

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from spikeseg.data.readers import read
from spikeseg.data.readers.raw import BLOCK_EVENTS
from spikeseg.data.recording import LABEL_DTYPE, Recording
from spikeseg.errors import InputError
from spikeseg.pipelines.commands.info import info as info_command
from spikeseg.pipelines.stages import info as module
from spikeseg.pipelines.stages.info import describe, info
from spikeseg.simulation.write import write


def run(*words):
    return CliRunner().invoke(info_command, [str(word) for word in words])


def columns(n=3000, seconds=4.0, seed=0, size=(240, 180)):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, int(seconds * 1e6), n)) + 5_000_000
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    x[:200], y[:200] = 12, 34
    return {"t": t, "x": x, "y": y, "p": (rng.random(n) < 0.25).astype(np.int64)}


def csv_file(path, held):
    rows = zip(*(held[name].tolist() for name in "txyp"), strict=True)
    path.write_text("t,x,y,p\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def dat_file(path, held, size=(240, 180)):
    """Version 2 of https://docs.prophesee.ai/stable/data/file_formats/dat.html."""
    head = f"% Version 2\n% Width {size[0]}\n% Height {size[1]}\n% end\n".encode()
    rows = np.zeros(len(held["t"]), [("t", "<u4"), ("word", "<u4")])
    rows["t"], rows["word"] = held["t"], held["x"] | held["y"] << 14 | held["p"] << 28
    path.write_bytes(head + struct.pack("BB", 0x0C, 8) + rows.tobytes())
    return path


def recording(name, seed, labels=None):
    held = columns(400, seed=seed)
    events = np.rec.fromarrays([held[f] for f in "txyp"], names="t,x,y,p")
    return Recording(events, (240, 180), labels, name, name)


@pytest.fixture
def archive(tmp_path):
    """An HDF5 file of two recordings, one of them labelled."""
    points = np.array([(5_100_000, 3.0, 4.0, 1), (5_200_000, 4.0, 4.0, 1), (5_200_000, 9.0, 9.0, 2)], LABEL_DTYPE)
    (path,) = write(tmp_path / "sky", [recording("DAVIS_1", 1, points), recording("DAVIS_2", 2)])
    return path


def test_the_figures_are_those_of_the_events(tmp_path):
    held = columns()
    told, summary = describe(str(dat_file(tmp_path / "night.dat", held)), 15.0)
    length = int(held["t"][-1] - held["t"][0])
    assert told["name"] == "night" and told["format"] == "Prophesee .dat" and told["sensor"] is None
    assert told["sensor_size"] == [240, 180] and told["sensor_size_from"] == "file"
    assert told["file_bytes"] == (tmp_path / "night.dat").stat().st_size
    assert told["events"] == 3000 and told["on_share"] == held["p"].mean()
    assert (told["first_us"], told["last_us"], told["duration_us"]) == (held["t"][0], held["t"][-1], length)
    assert told["events_per_s"] == pytest.approx(3000 / length * 1e6)
    seconds = np.bincount((held["t"] - held["t"][0]) // 1_000_000)
    assert told["busiest_second"]["events"] == seconds.max()
    assert told["busiest_second"]["start_us"] == held["t"][0] + seconds.argmax() * 1_000_000
    hot, own = told["hot_pixels"], int(np.sum((held["x"] == 12) & (held["y"] == 34)))
    assert (hot["frequency"], hot["pixels"], hot["events"]) == (15.0, 1, own)
    assert hot["event_share"] == own / 3000
    assert hot["hottest"][0] == {"x": 12, "y": 34, "events": own, "events_per_s": pytest.approx(own / length * 1e6)}
    assert len(hot["hottest"]) == 5 and told["labels"] is None and told["dropped"] == {} and not told["needs_lenient"]
    assert summary.pixels.sum() == 3000 and summary.pixels[1].sum() == held["p"].sum()
    assert json.loads(json.dumps(told)) == told


def test_long_files_in_any_format_count_what_read_counts(tmp_path):
    held = columns(400_000, seconds=30.0)
    held["t"][1000:1010] -= 20_000
    files = [dat_file(tmp_path / "a.dat", held), tmp_path / "b.npz", tmp_path / "c.npy"]
    np.savez(files[1], **held)
    np.save(files[2], np.rec.fromarrays(list(held.values()), names="t,x,y,p"))
    for file in files:
        checked = read(file)
        told, summary = describe(str(file))
        assert told["dropped"] == checked.dropped and 0 < told["dropped"]["out of order, sorted"] <= 10
        want = np.zeros((2, 180, 240), int)
        np.add.at(want, (checked.events["p"].astype(int), checked.events["y"], checked.events["x"]), 1)
        assert np.array_equal(summary.pixels, want)
        assert (told["first_us"], told["last_us"]) == (checked.events["t"][0], checked.events["t"][-1])


def test_a_format_read_whole_is_handed_over_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("spikeseg.data.readers.raw.BLOCK_EVENTS", 700)
    held = columns()
    with h5py.File(tmp_path / "b.mat", "w") as file:
        for name, values in (("ts", held["t"]), ("x", held["x"] + 1), ("y", held["y"] + 1), ("p", held["p"])):
            file[f"TD/{name}"] = values
    parts = []
    monkeypatch.setattr("spikeseg.data.summary.Summary.add", lambda self, part: parts.append(len(part)))
    describe(str(tmp_path / "b.mat"))
    assert sum(parts) == 3000 and len(parts) > 2 and BLOCK_EVENTS > 3000


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for n in (1_200_000, 3_600_000):
        path = dat_file(tmp_path / f"{n}.dat", columns(n, seconds=n / 4000))
        describe(str(path))
        tracemalloc.start()
        assert describe(str(path))[0]["events"] == n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_what_is_dropped_is_told_and_what_others_refuse_is_said(tmp_path):
    held = columns()
    held["x"][500:520] = 900
    file = dat_file(tmp_path / "few.dat", held)
    assert describe(str(file))[0]["dropped"] == {"outside the sensor": 20}
    assert "  dropped     20 outside the sensor\n" in run(file).stdout and "--lenient" not in run(file).stdout
    for name, change in (("far", ("x", 900)), ("late", ("t", 4_500_000))):
        held = columns()
        held[change[0]][500:600] = change[1]
        if name == "late":
            held["t"][500:600] = held["t"][499] - 10
        file = dat_file(tmp_path / f"{name}.dat", held)
        with pytest.raises(InputError, match="--lenient"):
            read(file)
        told, _ = describe(str(file))
        assert told["needs_lenient"] and sum(told["dropped"].values()) == 100
        result = run(file)
        assert result.exit_code == 0 and "other commands take it with --lenient only" in result.stdout


def test_what_the_reader_leaves_out_is_told_too(tmp_path):
    """EVT 2.0: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html."""
    high, off, on, trigger = 0x8 << 28 | 5, 0x0 << 28 | 3 << 11 | 4, 0x1 << 28 | 9 << 22 | 3 << 11 | 4, 0xA << 28 | 12 << 22 | 1
    words = np.array([high, off, on, trigger, trigger], "<u4")
    path = tmp_path / "lab.raw"
    path.write_bytes(b"% format EVT2;height=720;width=1280\n% end\n" + words.tobytes())
    told, _ = describe(str(path))
    assert (told["events"], told["on_share"], told["first_us"], told["last_us"]) == (2, 0.5, 320, 329)
    assert told["dropped"] == {"external triggers": 2} == read(path).dropped and not told["needs_lenient"]


@pytest.mark.parametrize(("wrong", "refused"), [(29, False), (30, False), (31, True)])
def test_lenient_is_needed_exactly_where_reading_refuses(tmp_path, wrong, refused):
    held = columns()
    held["x"][500 : 500 + wrong] = 900
    file = dat_file(tmp_path / "edge.dat", held)
    assert describe(str(file))[0]["needs_lenient"] is refused
    if refused:
        with pytest.raises(InputError):
            read(file)
    else:
        read(file)


def test_a_sensor_that_the_file_does_not_name_is_said_to_be_guessed(tmp_path):
    file = csv_file(tmp_path / "walk.csv", columns(300))
    told, _ = describe(str(file))
    assert (told["sensor"], told["sensor_size"], told["sensor_size_from"]) == ("DAVIS240C", [240, 180], "coordinates")
    assert "not in the file: the smallest known" in run(file).stdout


def test_labels_inside_and_beside(tmp_path, archive):
    told, _ = describe(f"{archive}::DAVIS_1")
    assert told["labels"] == {"objects": 2, "points": 3, "file": None} and told["sensor"] == "DAVIS"
    assert describe(f"{archive}::DAVIS_2")[0]["labels"] is None
    file = csv_file(tmp_path / "walk.csv", columns(300))
    beside = tmp_path / "walk.labels.csv"
    beside.write_text("t_us,x,y,id\n5100000,10,10,1\n5100000,999,10,1\n")
    told, _ = describe(str(file))
    assert told["labels"] == {"objects": 1, "points": 1, "file": str(beside)}
    assert told["dropped"] == {"labels outside the sensor": 1} and told["needs_lenient"]
    assert f"1 object, 1 point, in {beside}" in run(file).stdout
    beside.write_text("t_us,x,y,id\n")
    assert "0 objects, 0 points" in run(file).stdout
    beside.write_text("nonsense\n")
    result = run(file)
    assert result.exit_code == 3 and result.stderr.startswith(f"error: {beside}: ") and not result.stdout


def test_an_hdf5_file_of_several_stands_for_each(archive):
    result = run(archive)
    assert result.exit_code == 0 and not result.stderr
    names = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert names == [f"DAVIS_1  ({archive}::DAVIS_1)", f"DAVIS_2  ({archive}::DAVIS_2)"]
    assert run(f"{archive}::DAVIS_2").stdout in result.stdout
    wrong = run(f"{archive}::DAVIS_3")
    assert wrong.exit_code == 3 and "did you mean DAVIS_" in wrong.stderr


def test_an_hdf5_file_of_one_is_one(tmp_path):
    (path,) = write(tmp_path / "one", [recording("DAVIS_1", 1)])
    assert [told["source"] for told in info([str(path)])] == [str(path)]
    top = tmp_path / "top.mat"
    with h5py.File(path) as source, h5py.File(top, "w") as target:
        source.copy("DAVIS_1/TD", target)
    assert [(told["name"], told["events"]) for told in info([str(top)])] == [("top", 400)]


def test_a_folder_is_every_file_below_it_and_what_cannot_be_read_costs_no_other(tmp_path, archive):
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    shutil.copy(archive, root / "deep")
    (root / "truth").mkdir()
    held = columns(300)
    np.savez(root / "truth" / "a.npz", **held)
    for name in ("a.labels.csv", ".hidden.csv", "simulate-h5.manifest.json", "a.info.png"):
        (root / name).write_text("t_us,x,y,id\n")
    manifest = {"key": "0", "stage": "simulate-mat", "outputs": {"truth/a.npz": {}}, "sha256": "0"}
    (root / "simulate-mat.manifest.json").write_text(json.dumps(manifest))
    csv_file(root / "a.csv", held)
    cut = dat_file(root / "cut.dat", held)
    cut.write_bytes(cut.read_bytes()[:-3])
    (root / "empty.csv").touch()
    (root / "notes.md").write_text("# Notes\n")
    (root / "back.csv").write_text("t,x,y,p\n9000000,1,1,1\n1,1,1,1\n")
    result = run(root, tmp_path / "nowhere", "-o", tmp_path / "out.json")
    assert result.exit_code == 3
    told = json.loads((tmp_path / "out.json").read_text())
    h5 = root / "deep" / archive.name
    assert [one["source"] for one in told["recordings"]] == [str(root / "a.csv"), f"{h5}::DAVIS_1", f"{h5}::DAVIS_2"]
    unread = {one["source"]: one["error"] for one in told["unreadable"]}
    want = {root / "back.csv": "jumps back", cut: "truncated", root / "empty.csv": "is empty", root / "notes.md": "in no format"}
    assert {str(path) for path in (*want, tmp_path / "nowhere")} == set(unread)
    assert all(word in unread[str(path)] for path, word in want.items())
    assert result.stderr.splitlines() == [f"error: {reason}" for reason in unread.values()]
    assert "a  (" in result.stdout and "DAVIS_2  (" in result.stdout and "Traceback" not in result.output


def test_an_empty_folder_and_a_damaged_archive_are_one_line(tmp_path, archive):
    (tmp_path / "none").mkdir()
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(archive.read_bytes()[:3000])
    for place in (tmp_path / "none", damaged):
        result = run(place)
        assert result.exit_code == 3 and result.stderr.count("\n") == 1 and result.stderr.startswith(f"error: {place}: ")


def test_recordings_of_no_event_and_of_one(tmp_path):
    for n, said in ((0, "  events      none"), (1, "  events      1, ")):
        held = {name: column[:n] for name, column in columns().items()}
        result = run(dat_file(tmp_path / "few.dat", held))
        assert result.exit_code == 0, result.output
        assert said in result.stdout and "rate" not in result.stdout and "hot pixels" not in result.stdout


def test_json_is_what_is_shown_and_named_once(tmp_path):
    file = dat_file(tmp_path / "night.dat", columns())
    first, second = tmp_path / "a.json", tmp_path / "new" / "b.json"
    assert f"wrote {first}" in run(file, "--json", first).stdout
    assert run(file, "-o", second).exit_code == 0
    content = json.loads(first.read_text())
    assert first.read_bytes() == second.read_bytes()
    assert content["version"] == 1 and content["hot_pixel_frequency"] == 15.0 and content["unreadable"] == []
    assert content["recordings"] == [describe(str(file))[0]]
    assert run(file, "--json", first, "-o", second).exit_code == 2
    assert run().exit_code == 2


def test_the_frequency_is_the_configurations_unless_given(tmp_path):
    file = dat_file(tmp_path / "night.dat", columns())
    assert "1 above 15 events/s" in run(file).stdout
    assert "0 above 2000 events/s" in run(file, "-c", "files").stdout
    assert "above 3.5 events/s" in run(file, "-c", "files", "--hot", "3.5").stdout
    assert "above 15 events/s" in run(file, "--set", "data.transforms=[]").stdout
    assert run(file, "--hot", "0").exit_code == 2


def test_pictures_are_written_beside_the_json_under_names_of_their_own(tmp_path):
    pytest.importorskip("matplotlib")
    held = columns()
    places = [dat_file(tmp_path / "night.dat", held), csv_file(tmp_path / "night.csv", held)]
    out = tmp_path / "out"
    result = run(*places, "--plot", "-o", out / "info.json")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["info.json", "night.info.png", "night_2.info.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.glob("*.png"))
    told = json.loads((out / "info.json").read_text())["recordings"]
    assert [one["picture"] for one in told] == [str(out / "night.info.png"), str(out / "night_2.info.png")]


def test_the_picture_shows_counts_by_polarity_and_the_rate(tmp_path):
    pytest.importorskip("matplotlib")
    from spikeseg.plots.recording import recording_figure

    _, summary = describe(str(dat_file(tmp_path / "night.dat", columns())))
    figure = recording_figure(summary, "night")
    panels = {axes.get_title(): axes for axes in figure.axes}
    for name, counts in (("OFF events", summary.pixels[0]), ("ON events", summary.pixels[1])):
        assert np.allclose(panels[name].images[0].get_array(), np.log1p(counts))
    scales = {panels[name].images[0].get_clim() for name in ("ON events", "OFF events")}
    assert len(scales) == 1 and figure.get_suptitle() == "night"
    (rate,) = (axes for axes in figure.axes if axes.get_ylabel() == "events/s")
    assert np.array_equal(rate.patches[0].get_data().values, summary.rates()[1])


def test_the_picture_of_nothing_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    held = {name: column[:0] for name, column in columns().items()}
    (told,) = info([str(dat_file(tmp_path / "none.dat", held))], plots=tmp_path)
    assert told["picture"] == str(tmp_path / "none.info.png")


def test_without_matplotlib_the_extra_is_named_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    monkeypatch.setattr(module, "describe", lambda *_: pytest.fail("read"))
    result = run(dat_file(tmp_path / "night.dat", columns()), "--plot")
    assert result.exit_code == 3 and "spikeseg[plots]" in result.stderr and "Traceback" not in result.output


def test_where_json_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    result = run(dat_file(tmp_path / "night.dat", columns()), "-o", tmp_path / "file" / "info.json")
    assert result.exit_code == 3 and "is a file, no folder; choose another place" in result.stderr


def test_columns_and_unit_of_the_user(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("640 480\n" + "".join(f"{n % 30} {n % 20} {n * 0.01:.2f} 1\n" for n in range(101)))
    assert run(path).exit_code == 3
    told = run(path, "--columns", "x,y,t,p", "--time-unit", "s")
    assert told.exit_code == 0 and "640 x 480 pixels" in told.output and "1.000000 s, from 0.000000 s" in told.output
    told = run(path, "--columns", "x,y,p")
    assert told.exit_code == 3 and "--columns: 'x,y,p'; expected" in told.output


def test_metadata_of_a_bag_is_no_recording(tmp_path):
    csv_file(tmp_path / "a.csv", columns(50))
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n")
    assert [entry["name"] for entry in info([str(tmp_path)])] == ["a"]
