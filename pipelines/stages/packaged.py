"""A network that comes with the package, trained again from nothing, and compared with its file byte by byte."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.networks import file_of

from ..runtime.console import progress
from .comparison import difference

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


def train_again(name: str, cfg: Config, folder: Path) -> tuple[Path, str | None]:
    """Simulate what a packaged network learned from, and train it.

    Args:
        name: of `spikeseg.networks.NAMES`.
        cfg: device and backend are its.
        folder: where it goes.

    Returns:
        the file, and how it differs from the one that comes with the package; None where it does not.

    Raises:
        InputError: the file cannot be written.
    """
    from spikeseg.api.packaged import trained

    own, again = file_of(name), folder / file_of(name).name
    trained(name, {"device": cfg.device, "backend": cfg.backend}, _shown).save(again)
    if not own.is_file():
        return again, f"{own}: missing"
    return again, None if own.read_bytes() == again.read_bytes() else f"{own}: {difference(own, again)}"


def _shown(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    return progress(items, title, "recording" if title.startswith(("simulating", "motion", "stars")) else "sample", total=total)
