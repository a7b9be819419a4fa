"""Images to features to a linear read-out: the command, its file, its controls."""

import gzip
import json
import struct

import numpy as np
import pytest
import torch

from spikeseg.evaluation.image_controls import TITLES

SET = {
    "maps": "[6, 16]", "thresholds": "[8, 6]", "max_images": "800", "winners": "[3, 3]", "svm_c": "0.01",
}  # fmt: skip
SMALL = ["--set", "convergence.check_interval=100"]
SMALL += [word for key, value in SET.items() for word in ("--set", f"images.{key}={value}")]
FEW = [*SMALL, "--set", "images.max_images=250"]
"""For the reference, which is slow."""


def bars(n, seed=0, size=12):
    """uint8 (N, H, W) with a bar that lies, stands or leans, somewhere; and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    y, x = np.mgrid[:size, :size]
    images = np.zeros((n, size, size), np.uint8)
    for image, label in zip(images, labels, strict=True):
        across = {0: y, 1: x, 2: x - y}[label] - (rng.integers(3, 9) if label < 2 else rng.integers(-3, 4))
        image[np.abs(across) < 1] = 200
        image[:] = np.clip(image + rng.normal(0, 4, image.shape), 0, 255)
    return images, labels


def idx(path, array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def mnist(place):
    root = place.folder / "mnist"
    root.mkdir()
    for seed, (name, n) in enumerate((("train", 200), ("t10k", 90))):
        images, labels = bars(n, seed)
        idx(root / f"{name}-images-idx3-ubyte.gz", images)
        idx(root / f"{name}-labels-idx1-ubyte", labels)
    return place


MNIST = ["--dataset", "mnist", "--data-root", "mnist"]


def scored(place, *words):
    place.ok("classify", *words, *SMALL, "--output", "m.json", config=False)
    return json.loads((place.folder / "m.json").read_text())


def test_bars_are_told_apart(mnist):
    found = scored(mnist, *MNIST, "--paper", "kheradpisheh2018")
    (run,) = found["runs"]
    assert found["accuracy"] == run["accuracy"] > 0.9 and found["controls"] == {}
    assert np.sum(run["confusion"]) == 90 and np.trace(run["confusion"]) == round(90 * found["accuracy"])
    assert found["images"] == {"train": 200, "test": 90, "shape": [15, 2, 12, 12]} and found["classes"] == ["0", "1", "2"]
    assert [layer["images"] for layer in run["layers"]] and all(layer["stopped"] for layer in run["layers"])
    assert set(run["milliseconds_per_image"]) == {"coding", "features", "learning"}
    reported(mnist, found)


def reported(place, found):
    """Its report shows filters, confusion and accuracy."""
    (run,) = (path.parent for path in (place.folder / "runs" / "classify").glob("*/network.pt"))
    assert f"such as {run.relative_to(place.folder)}" in place.refused("report", "runs/classify", config=False)
    place.ok("report", f"classify/{run.name}", config=False)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"accuracy of {found['accuracy']:.4f}" in page
    assert f"layer 2 stopped after {found['runs'][0]['layers'][1]['images']:,} " in page
    assert page.count("data:image/png") == 3 and "No control was scored" in page and "Not shown" not in page
    place.ok("plot", f"classify/{run.name}", "confusion", "-o", "confusion.svg", config=False)
    assert "has filters, confusion" in place.refused("plot", f"classify/{run.name}", "roc", config=False)
    assert (place.folder / "confusion.svg").read_bytes().startswith(b"<?xml")


def test_the_same_command_does_nothing_and_another_backend_gives_the_same(mnist):
    first = mnist("classify", *MNIST, *FEW, config=False)
    again = mnist("classify", *MNIST, *FEW, config=False)
    assert "wrote" in first.output and "up to date: " in again.output
    assert " per class)" in first.output and 'the paper: "only a few tens of examples per category' in first.output
    (folder,) = (mnist.folder / "runs" / "classify").glob("[0-9a-f]*")
    known = torch.load(folder / "network.pt", weights_only=True)["weights"]
    assert [tuple(weight.shape) for weight in known] == [(6, 2, 5, 5), (16, 6, 5, 5)]
    mnist.ok("classify", *MNIST, *FEW, "--backend", "reference", "--force", config=False)
    other = torch.load(folder / "network.pt", weights_only=True)["weights"]
    assert all(torch.equal(one, two) for one, two in zip(known, other, strict=True))


def test_without_matplotlib_all_but_the_picture_is_written(mnist, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    told = mnist("classify", *MNIST, *SMALL, "--output", "m.json", config=False)
    assert told.exit_code == 0 and "spikeseg[plots]" in told.output
    (folder,) = (mnist.folder / "runs" / "classify").glob("[0-9a-f]*")
    assert {"metrics.json", "network.pt"} <= {path.name for path in folder.iterdir()} and not (folder / "filters.png").exists()
    assert json.loads((mnist.folder / "m.json").read_text())["accuracy"] > 0.9


def test_controls_and_seeds(mnist):
    found = scored(mnist, *MNIST, "--controls", "--repeat", "2")
    assert set(found["controls"]) == set(TITLES)
    assert [run["seed"] for run in found["runs"]] == [42, 43]
    assert found["accuracy"] == pytest.approx(np.mean([run["accuracy"] for run in found["runs"]]))
    for one in found["controls"].values():
        assert len(one["accuracies"]) == 2 and 0 <= one["p"] <= 1
        assert one["images_network_better"] + one["images_control_better"] <= 90
        assert abs(found["accuracy"] - one["accuracy"]) <= max(one["images_network_better"], one["images_control_better"]) / 90
    assert len({one["accuracy"] for one in found["controls"].values()}) > 3
    again = scored(mnist, *MNIST, "--controls", "--repeat", "2", "--force")
    assert again["controls"] == found["controls"]


def test_labels_of_the_test_images_change_no_prediction(mnist):
    before = np.array(scored(mnist, *MNIST)["runs"][0]["confusion"])
    path = mnist.folder / "mnist" / "t10k-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[8:] = bytes([0, 0, 1] * 30)
    path.write_bytes(content)
    after = np.array(scored(mnist, *MNIST)["runs"][0]["confusion"])
    np.testing.assert_array_equal(before.sum(0), after.sum(0))  # columns: what was predicted
    assert before.sum(1).tolist() != after.sum(1).tolist() == [60, 30, 0]


def test_a_folder_per_class(place):
    from skimage.io import imsave

    images, labels = bars(150)
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = place.folder / "pictures" / "abc"[label]
        folder.mkdir(parents=True, exist_ok=True)
        imsave(folder / f"{n}.png", image, check_contrast=False)
    small = ["--set", "images.pools=[2, 1]", "--set", "images.strides=[2, 1]", "--set", "images.kernels=[5, 5]"]
    small += ["--set", "images.radii=[1, 1]", "--set", "images.height=12"]
    found = scored(place, "--dataset", "images", "--data-root", "pictures", *small)
    assert found["classes"] == ["a", "b", "c"] and found["accuracy"] > 0.6
    assert found["images"]["train"] + found["images"]["test"] == 150


GABOR = {
    "height": 12, "width": 12, "gabor_sizes": "[3, 5]", "gabor_pool": 2, "gabor_stride": 2, "maps": "[8]", "kernels": "[5]",
    "thresholds": "[4]", "radii": "[2]", "winners": "[8]", "max_images": 300,
}  # fmt: skip
"""The preset for ETH-80, for bars."""


def test_objects_kept_back_behind_gabor_filters(place):
    """Bars that lie and bars that stand, five objects of each, each of three views; a third of the objects is scored."""
    from skimage.io import imsave

    images, labels = bars(80)
    for label in (0, 1):
        (folder := place.folder / "pictures" / "ab"[label]).mkdir(parents=True)
        for n, image in enumerate(images[labels == label][:15]):
            imsave(folder / f"bar{n // 3}-{n % 3}.png", image, check_contrast=False)
    words = ["-c", "masquelier2007_eth80", "--data-root", "pictures", "--output", "m.json"]
    words += [word for key, value in GABOR.items() for word in ("--set", f"images.{key}={value}")]
    told = place("classify", *words, config=False)
    assert told.exit_code == 0, told.output
    found = json.loads((place.folder / "m.json").read_text())
    kept_back = found["images"].pop("objects_kept_back")
    assert found["images"] == {"train": 18, "test": 12, "shape": [15, 8, 6, 6]} and found["accuracy"] > 0.8
    assert f"kept back for testing: {', '.join(kept_back)}\n" in told.output and 2 <= len(kept_back) <= 4
    assert found["settings"]["images"]["group"] == "^(\\w+?)-" and found["settings"]["images"]["filters"] == "gabor"
    (run,) = (path.parent for path in (place.folder / "runs" / "classify").glob("*/network.pt"))
    assert torch.load(run / "network.pt", weights_only=True)["config"]["gabor_sizes"] == (3, 5)
    assert (run / "filters.png").exists()
    place.ok("plot", f"classify/{run.name}", "filters", "-o", "filters.svg", config=False)
    again = place.ok("classify", *words, "--backend", "reference", "--force", config=False)
    assert (
        "wrote" in again
        and json.loads((place.folder / "m.json").read_text())["runs"][0]["confusion"] == found["runs"][0]["confusion"]
    )


def test_recordings_of_nmnist(place):
    """Digits 0 and 1: events that sweep along rows, and along columns."""
    rng = np.random.default_rng(0)
    for part, n in (("Train", 12), ("Test", 6)):
        for digit in (0, 1):
            folder = place.folder / "nmnist" / part / str(digit)
            folder.mkdir(parents=True)
            for k in range(n):
                t = np.sort(rng.integers(0, 100_000, 300))
                along, across = (t // 3000) % 34, rng.integers(10, 24, 300)
                x, y = (along, across) if digit else (across, along)
                p = rng.integers(0, 2, 300)
                columns = (x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)
                (folder / f"{k:05}.bin").write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())
    found = scored(place, "--dataset", "nmnist", "--data-root", "nmnist", "--set", "images.thresholds=[4, 4]")
    assert found["images"] == {"train": 24, "test": 12, "shape": [15, 2, 34, 34]} and found["accuracy"] > 0.8


@pytest.mark.parametrize(
    "words, message",
    [
        (["--dataset", "mnist"], "data.data_root: not set"),
        (["--dataset", "mnist", "--data-root", "none"], "none: not found"),
        (["--dataset", "ebssa"], "'ebssa' has no classes; spikeseg classify takes digits"),
        (["--set", "images.maps=[3]"], "one entry per layer each"),
        (["--set", "images.kernels=[4, 5]"], "must be odd"),
        (["--set", "images.gabor_sizes=[4]"], "images.gabor_sizes: found (4,), must be odd"),
        (["--set", "images.gabor_sizes=[]"], "images.gabor_sizes: found none"),
        (["--set", "images.gabor_stride=6"], "images.gabor_stride: found 6, must not exceed gabor_pool 5"),
        (["--set", "images.filters=sobel"], "images.filters: found 'sobel', must be one of dog, gabor"),
        (["--set", "images.group=(a"], "images.group: found '(a', must be a regular expression (missing )"),
        (["--set", "images.group=a"], "images.group: found 'a', but digits tells no objects"),
        (["--dataset", "nmnist", "--data-root", ".", "--set", "images.filters=gabor"], "nmnist holds no pictures"),
        (["--set", "images.strides=[3, 1]"], "must not exceed pools"),
        (["--set", "images.grid=40", "--set", "images.max_images=20"], "40 x 40 cells over maps of 8 x 8"),
    ],
)
def test_refused(place, words, message):
    assert message in place.refused("classify", *words, config=False)


def test_images_are_no_recordings(place):
    assert "mnist holds images; spikeseg classify" in place.refused("prepare", "--dataset", "mnist", "--data-root", ".")


def test_the_cuda_backend_without_a_gpu_is_refused(place, monkeypatch):
    """It does not run on the CPU instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "backend: cuda needs a GPU, but there is none here" in place.refused("classify", "--backend", "cuda", config=False)
    words = ("classify", "--backend", "cuda", "--device", "cuda")
    assert "--device cuda: no such GPU here" in place.refused(*words, config=False)


def test_network_and_coding_run_where_the_configuration_says(mnist, monkeypatch):
    """By the operations of its backend, on its device."""
    from spikeseg import ops

    asked, backend = [], ops.backend

    def noted(name, device="cpu"):
        asked.append((name, str(device)))
        return backend(name, device)

    monkeypatch.setattr(ops, "backend", noted)
    for module in ("learning.image_training", "models.image_network"):
        monkeypatch.setattr(f"spikeseg.{module}.ops_backend", noted)
    mnist.ok("classify", *MNIST, *FEW, "--backend", "reference", "--device", "cpu", config=False)
    assert len(asked) > 5 and set(asked) == {("reference", "cpu")}


def test_status_knows_what_was_classified_with_whatever_options(mnist):
    state = mnist.ok("status", *MNIST, *SMALL, config=False)
    assert state.split()[:2] == ["missing", "classify"] and "next: spikeseg classify --set " in state
    mnist.ok("classify", *MNIST, *SMALL, "--repeat", "2", config=False)
    state = mnist.ok("status", *MNIST, *SMALL, config=False)
    assert state.startswith("up to date   classify") and state.splitlines()[-1] == "next: nothing to do"
    state = mnist.ok("status", *MNIST, *SMALL, "--set", "images.winners=[3, 2]", config=False)
    assert state.startswith("stale        classify") and "images.winners [3, 3] → [3, 2]" in state
