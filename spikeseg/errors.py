"""The exceptions for bad input and configuration, and the ends of their messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that end or hide a line, and bytes of file names that are no UTF-8, as Python spells them."""


def one_line(text: str) -> str:
    """The text on one line, in characters that can be written as UTF-8: others as ``\\n`` and ``\\xff``, as shells spell them."""
    return UNSHOWN.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else found[0].encode("unicode_escape").decode()


class InputError(ValueError):
    """Bad input or configuration: one line that names the file, the field and the remedy.

    The command line prints it without a traceback and exits with code 3.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class WriteError(InputError):
    """A file that the user's disk refuses; never a fault of what is read, so who passes over bad recordings lets it through."""


def together(faults: Sequence[InputError]) -> InputError:
    """One error of one or several, of which all are told, three at most."""
    if len(faults) == 1:
        return faults[0]
    rest = f". And {len(faults) - 3} more" if len(faults) > 3 else ""
    return InputError(f"{'. Also: '.join(map(str, faults[:3]))}{rest}")


def nearest(name: object, known: Iterable[str]) -> str:
    """Such as "; nearest: files", of a name that is mistyped, for the end of a message; "" where none is like it."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; nearest: {near[0]}" if near else ""
