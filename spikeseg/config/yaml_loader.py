"""How YAML text is read."""

from __future__ import annotations

from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in names:
                    raise yaml.constructor.ConstructorError(problem=f"{name.value} stands twice", problem_mark=name.start_mark)
                names.add(name.value)
        return super().construct_mapping(node, deep)
