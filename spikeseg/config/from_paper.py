"""Sections that a paper's preset can fill."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from .checking import Checker, Fail
from .files import Stack, read_paper

S = TypeVar("S", bound="FromPaper")


class FromPaper:
    """Base of a section that a paper's preset can fill."""

    _name: ClassVar[str] = ""

    @classmethod
    def from_paper(cls: type[S], paper: str, **changes: Any) -> S:
        """This section under a paper's preset ('igarss2023', 'kheradpisheh2018'), with some keys changed.

        Raises:
            InputError: unknown paper, key or value.
        """
        stack = Stack()
        stack.add(read_paper(paper), paper)
        stack.add({f"{cls._name}.{name}": value for name, value in changes.items()}, "overrides")
        checker = Checker(stack.origins, "defaults")
        section: S = checker.section(cls, stack.content.get(cls._name, {}), f"{cls._name}.")
        section.check(checker.fail)
        return section

    def check(self, fail: Fail) -> None:
        """Check what involves several keys of the section; `fail` raises InputError."""
