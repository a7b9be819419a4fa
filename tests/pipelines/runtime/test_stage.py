"""Keys, manifests, locks and writes that happen whole or not at all."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from spikeseg.core.files import partial_folder
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.pipelines.runtime.manifest import Ingredients, damaged, describe_file, finished, read_manifest, write_manifest
from spikeseg.pipelines.runtime.stage import StageResult, copied, run_in_folder, run_stage


def build_one(folder: Path) -> dict:
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("one")
    return {"seed": 3}


def stage(root: Path, build=build_one, force: bool = False, **config) -> StageResult:
    return run_stage(root, Ingredients("frames", 1, config, {"raw": "abc"}), build, force)


def visible(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if not p.name.endswith(".lock"))


def test_key_depends_on_every_ingredient_and_on_no_order():
    made = Ingredients("a", 1, {"x": 1, "y": (1, 2)}, {"r": "f", "s": "g"})
    assert made.key == Ingredients("a", 1, {"y": [1, 2], "x": 1}, {"s": "g", "r": "f"}).key == "d067666ac06d4d52"
    others = [
        made._replace(stage="b"),
        made._replace(version=2),
        made._replace(config={"x": 2, "y": (1, 2)}),
        made._replace(inputs={"r": "h", "s": "g"}),
        made._replace(config={"x": True, "y": (1, 2)}),
    ]
    assert len({made.key, *(other.key for other in others)}) == 6


def test_a_copy_that_was_not_there_counts_as_work(tmp_path):
    """So that a command says "wrote", not "up to date", of a file that it has just written."""
    done = StageResult(stage(tmp_path / "stages").path / "data", "key", ran=False)
    path = tmp_path / "new" / "a.txt"
    assert copied(done, "a.txt", path).ran and path.read_text() == "one"
    assert not copied(done, "a.txt", path).ran and not copied(done, "a.txt", None).ran
    path.write_text("two")
    assert copied(done, "a.txt", path).ran and path.read_text() == "one"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_key_refuses_what_has_no_canonical_form(value):
    with pytest.raises(TypeError, match="key"):
        _ = Ingredients("a", 1, {"x": value}, {}).key


def test_stage_runs_once_and_is_then_up_to_date(tmp_path):
    first = stage(tmp_path, x=1)
    second = stage(tmp_path, build=lambda _: pytest.fail("must not run"), x=1)
    assert first.ran and not second.ran and first.path == second.path == tmp_path / first.key
    manifest = read_manifest(first.path / MANIFEST)
    assert manifest["outputs"]["data/a.txt"] == {
        "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "bytes": 3,
    }
    assert (manifest["key"], manifest["stage"], manifest["config"], manifest["inputs"], manifest["seed"]) == (
        first.key, "frames", {"x": 1}, {"raw": "abc"}, 3,
    )  # fmt: skip
    assert manifest["versions"]["numpy"] and manifest["platform"] and manifest["seconds"] >= 0
    assert visible(tmp_path) == [first.key]


def test_force_builds_again_and_replaces(tmp_path):
    first = stage(tmp_path)

    def other(folder: Path) -> dict:
        (folder / "b.txt").write_text("two")
        return {}

    again = stage(tmp_path, build=other, force=True)
    assert again.ran and again.path == first.path
    assert visible(again.path) == ["b.txt", MANIFEST]
    assert visible(tmp_path) == [first.key]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_failing_build_leaves_nothing(tmp_path, error):
    def fails(folder: Path) -> dict:
        (folder / "half").write_text("x")
        raise error

    with pytest.raises(type(error)):
        stage(tmp_path, build=fails)
    assert visible(tmp_path) == []


def test_failing_forced_build_keeps_the_old_result(tmp_path):
    first = stage(tmp_path)

    def fails(_: Path) -> dict:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        stage(tmp_path, build=fails, force=True)
    assert finished(first.path)


def test_folder_without_manifest_is_not_an_artefact(tmp_path):
    first = stage(tmp_path)
    (first.path / MANIFEST).unlink()
    assert stage(tmp_path).ran


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_output_does_not_count_as_finished(tmp_path, damage):
    file = stage(tmp_path).path / "data" / "a.txt"
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("on")
    assert stage(tmp_path).ran
    assert file.read_text() == "one"


@pytest.mark.parametrize("damage", ["cut", "flipped", "not text", "a list", "no entry"])
def test_a_stage_with_a_damaged_manifest_is_named_and_run_again(tmp_path, damage, caplog):
    path = stage(tmp_path).path / MANIFEST
    content, told = path.read_bytes(), read_manifest(path)
    path.write_bytes(
        {
            "cut": content[:40],
            "flipped": content.replace(b'"seed": 3', b'"seed": 2'),
            "not text": content[:9] + b"\xff" + content[9:],
            "a list": b"[]",
            "no entry": json.dumps({name: value for name, value in told.items() if name != "sha256"}, indent=2).encode() + b"\n",
        }[damage]
    )
    assert stage(tmp_path).ran and f"{path}: damaged" in caplog.text
    assert read_manifest(path)["outputs"] == told["outputs"] and not stage(tmp_path).ran


def test_a_flipped_bit_is_named_and_the_stage_run_again(tmp_path, caplog):
    file = stage(tmp_path).path / "data" / "a.txt"
    file.write_text("ona")
    assert stage(tmp_path).ran and "data/a.txt is not as it was written" in caplog.text and file.read_text() == "one"


def test_stale_partials_go_and_live_ones_stay(tmp_path):
    mine = Ingredients("frames", 1, {}, {"raw": "abc"}).key
    for name in (f".{mine}.partial-1", ".dead.partial-2"):
        (tmp_path / name).mkdir()
    (tmp_path / ".manifest.json.partial-7").write_text("")
    with partial_folder(tmp_path, "live") as live:
        stage(tmp_path)
        assert [p.name for p in tmp_path.iterdir() if ".partial-" in p.name] == [live.name]
        (tmp_path / ".dead.partial-2").mkdir()
        assert not stage(tmp_path).ran
        assert [p.name for p in tmp_path.iterdir() if ".partial-" in p.name] == [live.name]


def into(out: Path, content: str, force: bool = False, **config) -> StageResult:
    """A stage that writes two files into a user's folder."""

    def build(folder: Path) -> dict:
        (folder / "a.txt").write_text(content)
        (folder / "b.txt").write_text(content)
        return {}

    return run_in_folder(out, Ingredients("detect", 1, config, {}), build, force)


def test_a_run_into_a_folder_removes_what_a_killed_one_left(tmp_path):
    into(tmp_path, "one")
    (tmp_path / ".detect.partial-12345").mkdir()
    (tmp_path / ".detect.manifest.json.partial-12345").write_text("{")
    (tmp_path / ".hidden").write_text("mine")
    assert not into(tmp_path, "one").ran
    assert sorted(os.listdir(tmp_path)) == [".hidden", "a.txt", "b.txt", "detect.manifest.json"]


def test_a_run_into_a_folder_goes_on_where_one_was_killed_among_its_files(tmp_path, monkeypatch):
    """Files of the earlier run that were not replaced yet are still this stage's."""
    into(tmp_path, "one", x=1)
    replace, calls = os.replace, []

    def dies(*paths):
        calls.append(paths)
        if len(calls) == 3:  # manifest, a.txt, b.txt
            raise KeyboardInterrupt
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", dies)
        with pytest.raises(KeyboardInterrupt):
            into(tmp_path, "two", x=2)
    assert (tmp_path / "a.txt").read_text() == "two" and (tmp_path / "b.txt").read_text() == "one"
    assert into(tmp_path, "two", x=2).ran and (tmp_path / "b.txt").read_text() == "two"
    assert not into(tmp_path, "two", x=2).ran


def test_a_flipped_bit_in_a_users_folder_is_found(tmp_path):
    into(tmp_path, "one")
    (tmp_path / "b.txt").write_text("onf")
    assert into(tmp_path, "one").ran and (tmp_path / "b.txt").read_text() == "one"


def _stage_of_two(root: Path, here: "multiprocessing.Barrier", queue: "multiprocessing.Queue[bool]") -> None:
    here.wait()
    queue.put(stage(root).ran)


def test_two_processes_build_a_key_once(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    here = context.Barrier(2)
    workers = [context.Process(target=_stage_of_two, args=(tmp_path, here, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    ran = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(ran) == [False, True]


@pytest.mark.parametrize("root", ["file/frames", "file"])
def test_folder_that_cannot_be_written_is_one_clear_line(tmp_path, root):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*choose a folder you can write to") as caught:
        stage(tmp_path / root)
    assert "\n" not in str(caught.value)


def test_read_only_folder_is_one_clear_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="permission denied"):
        stage(tmp_path / "new")


def test_extra_entries_cannot_replace_fixed_ones(tmp_path):
    with pytest.raises(ValueError, match="'inputs' is an entry of every manifest"):
        write_manifest(tmp_path / MANIFEST, Ingredients("s", 1, {}, {}), outputs={}, seconds=0.0, extra={"inputs": 1})
    assert not (tmp_path / MANIFEST).exists()


def test_manifest_of_a_run_stands_beside_its_files(tmp_path):
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(b"abc")
    path = tmp_path / "conv2.manifest.json"
    made = Ingredients("train-layer", 1, {"lr": 0.04}, {"frames": "k"})
    written = write_manifest(path, made, {"checkpoint.pt": describe_file(file)}, seconds=1.5, extra={"device": "cpu"})
    assert read_manifest(path) == json.loads(json.dumps(written))
    assert written["key"] == made.key
    assert damaged(written, tmp_path) is None
    assert read_manifest(tmp_path / "absent.json") is None
