"""What is chosen by name, and where it is defined; other packages add to it by entry points of the groups named here."""

from .registry import Registry

MODES = Registry(
    "mode",
    "spikeseg.metrics",
    {
        "event": "spikeseg.metrics.event:MODE",
        "pixel": "spikeseg.metrics.pixel:MODE",
        "object": "spikeseg.metrics.objects:MODE",
        "volume": "spikeseg.metrics.volume:MODE",
        "track": "spikeseg.metrics.track:MODE",
    },
)
"""Metric modes (`spikeseg.metrics.mode.Mode`), in the order of metrics.json."""

RULES = Registry(
    "learning rule",
    "spikeseg.rules",
    {
        "multiplicative": "spikeseg.learning.rules:MULTIPLICATIVE",
        "additive": "spikeseg.learning.rules:ADDITIVE",
    },
)
"""Learning rules (`spikeseg.learning.rules.LearningRule`), the values of `stdp.rule`."""
