"""Configuration: sections with their defaults and limits, and how files and overrides become one."""

from .load import dump, from_dict, load_config, merge_configs, parse_overrides, to_dict

__all__ = ["dump", "from_dict", "load_config", "merge_configs", "parse_overrides", "to_dict"]
