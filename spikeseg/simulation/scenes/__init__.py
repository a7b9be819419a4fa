"""Simulated scenes: shapes that cross, hide, stop, grow, turn and walk before still, moving and flickering backgrounds."""

from .config import CONDITIONS, SceneConfig, SceneSet, condition
from .recordings import BOX_DTYPE, SceneRecording, recording_of, scene_recording

__all__ = ["BOX_DTYPE", "CONDITIONS", "SceneConfig", "SceneRecording", "SceneSet", "condition", "recording_of", "scene_recording"]
