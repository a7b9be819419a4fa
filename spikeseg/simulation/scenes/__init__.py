"""Simulated scenes: shapes that cross, hide, stop, grow and turn before still, moving and flickering backgrounds."""

from .config import CONDITIONS, SceneConfig, condition
from .recordings import BOX_DTYPE, SceneRecording, scene_recording

__all__ = ["BOX_DTYPE", "CONDITIONS", "SceneConfig", "SceneRecording", "condition", "scene_recording"]
