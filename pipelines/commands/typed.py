"""Errors in the words of the command line: a key of the configuration is called by the option that has set it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from .settings import Setting

SET = "--set"


def typed_words(options: Iterable[click.Parameter], given: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, str]:
    """By key of the configuration, what the user typed to set it: an option, or "--set KEY".

    Args:
        options: of the command.
        given: their values.
        overrides: keys that --set names.
    """
    words = {key: f"{SET} {key}" for key in overrides}
    for option in options:
        if isinstance(option, Setting) and (value := given.get(str(option.name))) is not None:
            words[option.key] = max(option.secondary_opts if value is False else option.opts, key=len)
    return words | ({"paper": "--paper"} if given.get("paper") is not None else {})


def in_typed_words(message: str, words: Mapping[str, str]) -> str:
    """A message in which the keys that options have set are those options; of what a file holds, the keys stay."""
    for key, word in words.items():
        if word.startswith(SET):
            continue
        spelled = re.escape(key)
        message = re.sub(rf"^{spelled}(?=: )", word, message)
        if "." in key:  # others are words of any sentence
            same = rf"(?: \({re.escape(word)}\))?"
            message = re.sub(rf"(?<![\w.]){spelled}{same}(?!\w|\.\w|: found|: unknown)", word, message)
    return message
