"""Configuration: sections with their defaults and limits, and how files and overrides become one."""

from .files import PAPERS
from .keys import section_dict
from .load import dump, from_dict, load_config, merge_configs, parse_overrides, to_dict

__all__ = ["PAPERS", "dump", "from_dict", "load_config", "merge_configs", "parse_overrides", "section_dict", "to_dict"]
