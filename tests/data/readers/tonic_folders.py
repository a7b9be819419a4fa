"""Miniature datasets in the folders and files in which tonic expects them."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from writers import EVENT4, packet4, write4


def columns(number, size=(34, 34), n=120, duration_us=100_000):
    """t, x, y, p of a few events of a sensor; other numbers give others."""
    rng = np.random.default_rng(number)
    t = np.sort(rng.integers(0, duration_us, n))
    return t, rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.integers(0, 2, n)


def bin40(t, x, y, p):
    """N-MNIST's 40 bits an event."""
    return np.stack((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255), 1).astype(np.uint8).tobytes()


def file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def nmnist(root: Path, each=2):
    for n, (part, digit, k) in enumerate((part, digit, k) for part in ("Train", "Test") for digit in "07" for k in range(each)):
        file(root / "NMNIST" / part / digit / f"{k:05}.bin").write_bytes(bin40(*columns(n)))


def ncaltech101(root: Path, each=2):
    for n, (kind, k) in enumerate((kind, k) for kind in ("airplanes", "Leopards") for k in range(each)):
        path = file(root / "NCALTECH101" / "Caltech101" / kind / f"image_{k:04}.bin")
        path.write_bytes(bin40(*columns(n, (200 + 10 * n, 150))))


def pokerdvs(root: Path, each=2):
    for n, (part, suit, k) in enumerate(
        (part, suit, k) for part in ("train", "test") for suit in ("sp", "cl") for k in range(each)
    ):
        np.save(file(root / "POKERDVS" / f"pips_{part}" / suit / f"{k}.npy"), np.stack(columns(n, (35, 35)), 1))


def dvsgesture(root: Path, each=2):
    users = [f"user{k:02}_{light}" for k in range(1, 1 + each) for light in ("led", "natural")]
    for part, own in (("Train", users[:-1]), ("Test", users[-1:])):
        for n, (user, gesture) in enumerate((user, gesture) for user in own for gesture in (0, 10)):
            t, x, y, p = columns(n, (128, 128))
            rows = np.stack((x, y, p, t // 1000), 1).astype(np.float64)
            np.save(file(root / "DVSGesture" / f"ibmGesture{part}" / user / f"{gesture}.npy"), rows)


def cifar10dvs(root: Path, each=2):
    for n, (kind, k) in enumerate((kind, k) for kind in ("airplane", "truck") for k in range(each)):
        t, x, y, p = columns(n, (128, 128))
        events = np.zeros(len(t), EVENT4)
        events["t"], events["x"], events["y"], events["on"] = t + 1_600_000_000_000_000, x, y, p
        streams = [{"id": 0, "kind": "EVTS", "width": 128, "height": 128}]
        write4(file(root / "CIFAR10DVS" / kind / f"cifar10_{kind}_{k}.aedat4"), [packet4(events)], streams)


def asldvs(root: Path, each=2):
    for n, (letter, k) in enumerate((letter, k) for letter in "ay" for k in range(each)):
        t, x, y, p = (column.reshape(-1, 1) for column in columns(n, (240, 180)))
        scipy.io.savemat(file(root / "ASLDVS" / letter / f"{letter}_{k:04}.mat"), {"ts": t, "x": x, "y": y, "pol": p})


def dvslip(root: Path, each=2):
    kind = np.dtype([("t", "<i4"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")])
    for n, (part, word, k) in enumerate(
        (part, word, k) for part in ("train", "test") for word in ("young", "press") for k in range(each)
    ):
        events = np.zeros(120, kind)
        for name, column in zip("txyp", columns(n, (128, 128)), strict=True):
            events[name] = column
        np.save(file(root / "DVSLip" / "DVS-Lip" / part / word / f"{k}.npy"), events)


def nerdd(root: Path, each=2):
    for k in range(each):
        t, x, y, p = columns(k, (1280, 720))
        scene = root / "NERDD" / "DATA" / "archive_1" / str(k)
        np.savez(file(scene / "Event" / "output_events.npz"), data=np.stack((x, y, p, t), 1))
        (scene / "ev_rgb_coordinates.txt").write_text("0.1: 3, 4, 13, 24\n")


def threeet(root: Path, each=2):
    top = root / "ThreeET_Eyetracking"
    for part, first in (("train", 0), ("val", each)):
        names = [f"1_{first + k}" for k in range(each)]
        file(top / f"{part}_files.txt").write_text("\n".join(names) + "\n")
        for n, name in enumerate(names):
            with h5py.File(file(top / "data" / f"{name}.h5"), "w") as store:
                store["events"] = np.stack(columns(first + n, (240, 180)), 1)
            file(top / "labels" / f"{name}.txt").write_text("3 4 0\n")


def dsec(root: Path, each=2):
    for n, name in enumerate(("thun_00_a", "zurich_city_00_a", "thun_01_a")):
        with h5py.File(file(root / "DSEC" / name / "events_left" / "events.h5"), "w") as store:
            for field, column in zip("txyp", columns(n, (640, 480)), strict=True):
                store[f"events/{field}"] = column.astype({"t": "u4", "p": "u1"}.get(field, "u2"))
            store["t_offset"], store["ms_to_idx"] = np.int64(49_000_000_000), np.zeros(3, np.uint64)


FOLDERS = {
    "ASLDVS": asldvs,
    "CIFAR10DVS": cifar10dvs,
    "DSEC": dsec,
    "DVSGesture": dvsgesture,
    "DVSLip": dvslip,
    "NCALTECH101": ncaltech101,
    "NERDD": nerdd,
    "NMNIST": nmnist,
    "POKERDVS": pokerdvs,
    "ThreeET_Eyetracking": threeet,
}
"""Name -> what writes it below a root, `each` recordings of a class and part."""
