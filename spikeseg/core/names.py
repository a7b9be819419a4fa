"""Names of manifests and of a run's configuration; those of a run's other files are in `spikeseg.learning.run_files`."""

CONFIG = "config.yaml"
"""Of a run: the resolved configuration."""

MANIFEST = "manifest.json"
"""In a stage's own folder; written last, so that a folder with one is finished."""
MANIFEST_BESIDE = "{}.manifest.json"
"""Beside other files, in a run or a folder of the user's: of the stage, or the layer, that is named."""
