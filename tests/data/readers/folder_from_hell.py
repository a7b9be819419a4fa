"""A folder as users have them: recordings under names of every kind, beside all that a folder may hold instead of recordings."""

import os
import socket
from pathlib import Path

import h5py
import numpy as np

LONG = "n" * 251 + ".csv"
"""A name of 255 characters, the most that there are."""


def events(seed: int = 0, count: int = 300) -> dict[str, np.ndarray]:
    """Columns of a short recording of noise, of 16 x 12 pixels."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 400_000, count))
    return {"t": t, "x": rng.integers(0, 16, count), "y": rng.integers(0, 12, count), "p": rng.integers(0, 2, count)}


def csv(path: Path, seed: int = 0) -> Path:
    """A recording as text."""
    rows = np.stack(list(events(seed).values()), 1).tolist()
    path.write_text("16 12\n" + "".join(f"{t} {x} {y} {p}\n" for t, x, y, p in rows))
    return path


def h5(path: Path, names: tuple[str, ...]) -> Path:
    """Several recordings in EBSSA's HDF5."""
    with h5py.File(path, "w") as file:
        for seed, name in enumerate(names):
            for field, column in events(seed).items():
                file[f"{name}/TD/{'ts' if field == 't' else field}"] = column[None] + (field in "xy")
    return path


def npz(path: Path, seed: int = 0) -> Path:
    """A recording as numpy's file."""
    with path.open("wb") as file:
        np.savez(file, **events(seed), sensor_size=np.array([16, 12]))
    return path


SOUND = (
    "good.csv", "good.npz", "sub/good.csv", "link.csv", "a::b.csv", " space.csv", "-dash.csv", "cost$5_$^.csv",
    'comma,"quote".csv',
    "two\nlines.csv", "night\udcff.csv", "night\udcfe.csv", "ünïcode.csv", LONG,
)  # fmt: skip
"""Where recordings lie that can be read; beside them two in many.h5, one of which has the name of a file in truth/."""

NAMES = (
    "hell_good.csv", "hell_good.npz", "sub_good.csv", "link", "a::b", " space", "-dash", "cost$5_$^", 'comma,"quote"',
    "two%0Alines", "night%FF", "night%FE", "ünïcode",
)  # fmt: skip
"""What `detect` calls them where the folder is called hell; of the long one the beginning is left."""

BAD = {
    "gone.csv": "is a link to nowhere.csv, which is not there", "self.csv": "leads back to itself", "pipe.csv": "is a pipe",
    "socket.csv": "is a socket", "zero.csv": "is a device", "memory.csv": "cannot be read (Input/output error)",
    "annexed.csv": "`git annex get annexed.csv`", "unlocked.csv": "`git annex get unlocked.csv`", "lfs.csv": "`git lfs pull`",
    "cut.npz": "truncated or damaged", "empty.csv": "is empty", "README.md": "no format known",
    "up": "is a link to a folder elsewhere",
}  # fmt: skip
"""What cannot be read, and why."""


def make(folder: Path) -> Path:
    """Fill a folder."""
    (folder / "sub").mkdir(parents=True)
    (folder / "none").mkdir()
    for seed, name in enumerate(SOUND):
        if name != "link.csv":
            (npz if name.endswith(".npz") else csv)(folder / name, seed)
    h5(folder / "many.h5", ("one", "two"))
    links = {
        "link.csv": "sub/good.csv", "gone.csv": "nowhere.csv", "self.csv": "self.csv", "zero.csv": "/dev/zero", "loop": ".",
        "memory.csv": "/proc/self/mem", "annexed.csv": ".git/annex/objects/x/MD5-s5--a.csv/MD5-s5--a.csv", "up": "..",
    }  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
    for name in ("pipe.csv", "pipe.manifest.json", "pipe.labels.csv"):
        os.mkfifo(folder / name)
    before = Path.cwd()
    os.chdir(folder)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.csv")
    finally:
        os.chdir(before)
    (folder / "unlocked.csv").write_text("/annex/objects/MD5-s5--a.csv\n")
    (folder / "lfs.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    npz(folder / "cut.npz").write_bytes(npz(folder / "cut.npz").read_bytes()[:90])
    (folder / "empty.csv").touch()
    (folder / "README.md").write_text("# Notes\n")
    (folder / ".hidden.csv").symlink_to("nowhere")
    (folder / "truth").mkdir()
    with (folder / "truth" / "one.npz").open("wb") as file:
        np.savez(file, boxes=np.zeros((3, 4)))
    return folder
