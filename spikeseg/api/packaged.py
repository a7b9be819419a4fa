"""How the networks that come with the package were trained: from nothing, on recordings that are simulated from fixed seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeseg.core.progress import Progress, silent
from spikeseg.data.recording import Recording
from spikeseg.networks import NIGHTS, SCENES

from .network import Network, new


@dataclass(frozen=True)
class Nights:
    """Simulated nights: those that docs/evaluation.md trains on.

    Attributes:
        config: the built-in configuration that learns from them.
        recordings, duration_s, difficulty, seed: see `spikeseg.simulation.recordings.SimulationConfig`.
    """

    config: str = "demo"
    recordings: int = 24
    duration_s: float = 8.0
    difficulty: str = "medium"
    seed: int = 40002

    def simulated(self, progress: Progress) -> list[Recording]:
        """The recordings."""
        from spikeseg.simulation.recordings import SimulationConfig, simulate_recording

        config = SimulationConfig(self.recordings, self.duration_s, self.difficulty, seed=self.seed)
        return [simulate_recording(config, k) for k in progress(range(self.recordings), "simulating", self.recordings)]


@dataclass(frozen=True)
class Scenes:
    """Simulated scenes full of objects: those of docs/scenes.md, Saliency.

    Attributes:
        config: the built-in configuration that learns from them.
        conditions: see `spikeseg.simulation.scenes.CONDITIONS`; a recording of each.
        seed: see `spikeseg.simulation.scenes.SceneConfig`.
    """

    config: str = "files"
    conditions: tuple[str, ...] = ("large", "many", "growing", "moving")
    seed: int = 500

    def simulated(self, progress: Progress) -> list[Recording]:
        """The recordings."""
        from spikeseg.simulation.scenes import CONDITIONS, condition, scene_recording

        return [
            scene_recording(condition(name, seed=self.seed), list(CONDITIONS).index(name))
            for name in progress(self.conditions, "simulating", len(self.conditions))
        ]


RECIPES: dict[str, Nights | Scenes] = {NIGHTS: Nights(), SCENES: Scenes()}
"""By the name of the network."""


def trained(name: str, overrides: Mapping[str, Any] | None = None, progress: Progress = silent) -> Network:
    """A packaged network, trained anew: its `save` gives the bytes of the packaged file.

    Args:
        name: of RECIPES.
        overrides: of the configuration: such as change no result (`spikeseg.config.circumstances.WITHOUT_RESULT`).
        progress: shown what is simulated and learned.
    """
    recipe = RECIPES[name]
    return new(recipe.config, overrides).train(recipe.simulated(progress), progress=progress)
