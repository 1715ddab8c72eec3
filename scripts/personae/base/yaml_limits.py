"""Reject YAML that is small on disk but huge in memory, before it is constructed."""

from typing import Any, Final

import yaml

_MOST_DEPTH: Final = 64
_MOST_NODES: Final = 1_000_000


def check_depth(text: str) -> None:
    """Reject a text whose collections are nested too deeply, which would crash the C parser.

    Raises
    ------
    yaml.MarkedYAMLError
        With the position of the first collection that is too deep.
    """
    if not _may_be_deep(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MOST_DEPTH:
                problem = f"nested more than {_MOST_DEPTH} levels deep; write it flat"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check_growth(root: Any) -> None:
    """Reject nodes whose aliases expand to more than a million nodes, or are recursive.

    Raises
    ------
    yaml.MarkedYAMLError
        With the position of the collection that contains the aliases.
    """
    sizes: dict[int, int] = {}
    pending = [(root, False)]
    open_nodes: set[int] = set()
    while pending:
        node, is_counted = pending.pop()
        if not isinstance(node, yaml.CollectionNode):
            sizes[id(node)] = 1
        elif is_counted:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
            if sizes[id(node)] > _MOST_NODES:
                problem = "aliases repeat more than a million values; write out what you need"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        elif id(node) in open_nodes:
            problem = "an alias refers to a collection that contains it; write it out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            pending += [(node, True), *((child, False) for child in _children(node))]


def _may_be_deep(text: str) -> bool:
    """Return whether brackets, or indents and dashes, suffice for too many levels; a fast test."""
    if text.count("[") + text.count("{") > _MOST_DEPTH:
        return True
    return any(
        len(line) - len(line.lstrip(" -?:\t")) > _MOST_DEPTH
        for line in text.split("\n")
        if len(line) > _MOST_DEPTH
    )


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
