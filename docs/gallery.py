"""Make the pictures of the gallery: `python docs/gallery.py` writes docs/images/*.png, in some two minutes.

Everything in them is simulated from fixed seeds and detected by the networks that come with the package. It needs the extras
`plots` and `view`, and, for the picture of a page, selenium and Chromium with its driver.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import spikeseg as ss
from spikeseg.detection.schema import STAR
from spikeseg.plots import rendered
from spikeseg.simulation.scenes import condition, scene_recording

FOLDER = Path(__file__).parent / "images"
COLOURS, DPI = 128, 75
"""Of a picture, so that it stays small."""


def keep(name: str, content: bytes | Path, width: int | None = None) -> None:
    """Write a picture with few colours, no wider than `width` px."""
    image = Image.open(io.BytesIO(content) if isinstance(content, bytes) else content).convert("RGB")
    if width is not None and image.width > width:
        image = image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png: {(FOLDER / f'{name}.png').stat().st_size / 1000:.0f} kB", flush=True)


def spikeseg(folder: str, *words: str) -> None:
    """Run a command in a folder."""
    subprocess.run([sys.executable, "-m", "spikeseg", *words, "--quiet"], check=True, stdout=subprocess.DEVNULL, cwd=folder)


def page(file: Path) -> bytes:
    """A page of `detect --view`, as a browser shows it."""
    import shutil
    import time

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--window-size=1280,900",
        "--use-gl=swiftshader",
        "--enable-unsafe-swiftshader",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(file.as_uri())
        time.sleep(15)
        return browser.get_screenshot_as_png()
    finally:
        browser.quit()


def main() -> None:
    """All pictures."""
    FOLDER.mkdir(exist_ok=True)
    nights, scenes = ss.load("nights", {"device": "cpu"}), ss.load("scenes", {"device": "cpu"})
    with tempfile.TemporaryDirectory() as made:
        (night,) = ss.simulate(1, duration_s=20.0, seed=5)
        keep("recording", rendered(night.plot(), dpi=DPI))
        keep("satellite", rendered(nights.detect(night).plot(STAR), dpi=DPI))
        spikeseg(made, "simulate", "--kind", "limit", "--rate", "5", "--recordings", "1", "--seed", "3", "-o", "faint")
        (faint,) = nights.detect([f"{made}/faint/EBSSA/labelled_ebssa.h5::limit_0000"]).values()
        keep("faint", rendered(faint.plot(STAR), dpi=DPI))
        crossing = scene_recording(condition("crossing", seed=9500), 0)
        keep("scene", rendered(scenes.detect(crossing).plot(), dpi=DPI))
        scene = ("--kind", "scenes", "--condition", "crossing", "--seed", "9500", "--recordings", "1")
        spikeseg(made, "simulate", *scene, "-o", "scenes")
        (file,) = Path(made, "scenes").glob("*.npz")
        spikeseg(made, "classes", "scenes", str(file), "-o", "classes")
        keep("classes", Path(made, "classes", "classes.png"), 900)
        spikeseg(made, "detect", str(file), "--network", "scenes", "--view", "-o", "found")
        (html,) = Path(made, "found").glob("*.html")
        keep("page", page(html), 960)


if __name__ == "__main__":
    main()
