"""Modes of the leak; imports no torch, so that the configuration can name them."""

from __future__ import annotations

from enum import Enum, IntEnum


class LeakCode(IntEnum):
    """A `LeakMode` as compiled kernels take it."""

    NONE = 0
    SUBTRACTIVE = 1
    MULTIPLICATIVE = 2


class LeakMode(str, Enum):
    """Leak of the membrane potential: none, a constant per step, or a factor per step."""

    NONE = "none"
    SUBTRACTIVE = "subtractive"
    MULTIPLICATIVE = "multiplicative"

    @property
    def code(self) -> LeakCode:
        """The same, as compiled kernels take it."""
        return LeakCode[self.name]

    @property
    def loses_share(self) -> bool:
        """Whether a step loses a share of the potential, 0 to 1, rather than an amount."""
        return self is LeakMode.MULTIPLICATIVE

    @property
    def has_floor(self) -> bool:
        """Whether a step takes an amount away, and potentials stop at 0."""
        return self is LeakMode.SUBTRACTIVE

    def parameter(self, lost: float) -> float:
        """What `spikeseg.core.neurons.step` takes as leak, not yet on the grid.

        Args:
            lost: per step: a potential, or a share of it, see `loses_share`.
        """
        return 1.0 - lost if self.loses_share else lost


CONFIGURABLE = tuple(mode.value for mode in LeakMode if mode is not LeakMode.NONE)
"""Values of model.leak_mode; a leak of 0 is how a configuration asks for none."""
