"""The commands, one file each: flags in, one call of a stage out.

A command of ours is its file and a line of `COMMANDS`. Another package adds its own by an entry point of the group
``spikeseg.commands`` that names a click command::

    [options.entry_points]
    spikeseg.commands =
        mine = my_package.command:mine
"""

from spikeseg.registry import Registry

_FOLDER = "spikeseg.pipelines.commands"

COMMANDS = Registry(
    "command",
    "spikeseg.commands",
    {
        "cache": f"{_FOLDER}.cache:cache",
        "classes": f"{_FOLDER}.classes:classes",
        "classify": f"{_FOLDER}.classify:classify",
        "compare": f"{_FOLDER}.compare:compare",
        "cross-validate": f"{_FOLDER}.cross_validate:cross_validate",
        "demo": f"{_FOLDER}.demo:demo",
        "detect": f"{_FOLDER}.detect:detect",
        "diagnose": f"{_FOLDER}.diagnose:diagnose",
        "doctor": f"{_FOLDER}.doctor:doctor",
        "evaluate": f"{_FOLDER}.evaluate:evaluate",
        "export": f"{_FOLDER}.export:export",
        "info": f"{_FOLDER}.info:info",
        "plot": f"{_FOLDER}.plot:plot",
        "prepare": f"{_FOLDER}.prepare:prepare",
        "report": f"{_FOLDER}.report:report",
        "reproduce": f"{_FOLDER}.reproduce:reproduce",
        "simulate": f"{_FOLDER}.simulate:simulate",
        "status": f"{_FOLDER}.status:status",
        "sweep": f"{_FOLDER}.sweep:sweep",
        "systematic": f"{_FOLDER}.systematic:systematic",
        "train": f"{_FOLDER}.train:train",
        "train-layer": f"{_FOLDER}.train_layer:train_layer",
        "watch": f"{_FOLDER}.watch:watch",
    },
)
"""Name -> click command."""

SECTIONS = {
    "Find objects": ("demo", "info", "detect", "watch", "diagnose"),
    "Train a network": ("train", "prepare", "train-layer", "classes", "classify"),
    "Score it": ("evaluate", "report", "plot", "compare", "sweep", "cross-validate", "systematic"),
    "Files and results": ("status", "cache", "export", "reproduce", "simulate", "doctor"),
}
"""Under which titles help shows them; others come last."""
