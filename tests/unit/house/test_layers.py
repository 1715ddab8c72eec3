"""The package is built in layers: a module imports from its own layer and from those below."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
LAYERS = (
    "tools",
    "report",
    "workflow",
    "rollouts",
    "judging",
    "endpoints",
    "inference",
    "personas",
    "science",
    "data",
    "api",
    "base",
)  # from top to bottom
MODULES = sorted((SCRIPTS / "personae").rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Yield what a module imports of the project, lazily and for type checkers included."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.startswith("personae."))


def layer_of(name: str) -> int:
    return LAYERS.index(name.split(".")[1])


def test_every_module_is_in_a_layer() -> None:
    flat = [path.name for path in (SCRIPTS / "personae").glob("*.py")]
    assert flat == ["__init__.py"]
    assert {path.relative_to(SCRIPTS).parts[1] for path in MODULES} - {"__init__.py"} == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_down(layer: str) -> None:
    upward = [
        f"{name_of(path)} imports {name}"
        for path in (SCRIPTS / "personae" / layer).rglob("*.py")
        for name in imported(path)
        if layer_of(name) < LAYERS.index(layer)
    ]
    assert not upward, "\n".join(upward)


def test_science_asks_no_model_and_no_endpoint() -> None:
    foreign = {"httpx", "openai", "torch", "transformers", "fastapi", "sqlite3"}
    for path in (SCRIPTS / "personae" / "science").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                assert not foreign & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in foreign, path


def test_no_two_modules_share_a_name() -> None:
    names = Counter(path.stem for path in MODULES if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_is_named_like_a_package_of_the_project() -> None:
    packages = {path.parent.name for path in MODULES if path.name == "__init__.py"}
    assert packages & {path.stem for path in MODULES} <= set(), (
        "a module and a package share a name"
    )
