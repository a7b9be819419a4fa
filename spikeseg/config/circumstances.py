"""Which keys say how and where work is done, and so are no part of any result."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from .sections import Config

WITHOUT_RESULT = ("device", "backend", "data.num_workers", "data.dask", "logging.log_level")
"""Keys that change no result and find no file, so that the next command need not repeat them."""
CIRCUMSTANCES = (*WITHOUT_RESULT, "experiment_name", "output_dir", "cache_dir", "data.data_root", "logging", "checkpoint")
"""Those that change no network; whole sections by their names."""


def with_defaults(config: Config, keys: Collection[str]) -> Config:
    """The configuration with the defaults of some keys ("data.dask") and sections ("logging")."""
    defaults = Config()
    changed: dict[str, Any] = {}
    for key in keys:
        section, _, name = key.partition(".")
        if not name:
            changed[section] = getattr(defaults, section)
        elif section not in keys:
            now = changed.get(section, getattr(config, section))
            changed[section] = dataclasses.replace(now, **{name: getattr(getattr(defaults, section), name)})
    return dataclasses.replace(config, **changed)
