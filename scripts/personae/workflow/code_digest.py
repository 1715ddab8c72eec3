"""Digest of the code that decides what a node writes.

The digest follows the imports of a node's script, so no rule lists modules. It covers
statements only: docstrings, comments, type-checking imports and log lines change no result and no
digest. Modules in `INERT` are left out for the reason given there.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from personae.base.atomic_files import replace_atomically

SCRIPTS: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the scripts of the rules and the package."""

INERT: Final = (
    "personae.base",  # errors, atomic writes, validation messages: no value in a table
    "personae.data.integrity",  # finds damaged files, writes none
    "personae.data.schemas",  # a table with another schema than declared is refused on reading
    "personae.data.trait_schemas",  # the same
    "personae.data.tables",  # reads and writes values as they are
    "personae.data.vector_columns",  # the same for vectors
    "personae.data.model_table",  # rows reach nodes as params
    "personae.endpoints",  # answers are kept under all that determines them
    "personae.inference.client",  # transport and launch
    "personae.inference.server",  # transport and life cycle
    "personae.inference.allocator",  # how memory is kept
    "personae.personas.library",  # records reach nodes as params
    "personae.workflow",  # parameters are params; log, cluster and estimate write no table
)
"""Modules, and packages with all that is below them, that cannot change a result."""

CLIENT: Final = "personae.inference.client"
"""The client of the model server, which runs in another process: imports do not show its engine."""

ENGINES: Final = {
    "torch": "personae.inference.torch_engine.engine",
    "vllm": "personae.inference.vllm_engine.vllm_backend",
}
"""The engines that may stand behind `CLIENT`. The vLLM engine imports much of the torch engine."""

_LOGGERS: Final = frozenset({"LOG", "logging", "logger"})


class _Module(NamedTuple):
    """Digest of a module's statements, and the project's modules that it imports."""

    digest: str
    imports: tuple[str, ...]


_answering: set[str] = {"torch"}


def cover_engine(kind: str) -> None:
    """Let the digests cover the engine that answers a study.

    Parameters
    ----------
    kind
        The study's ``engine.kind``. An edit of the vLLM engine reruns only studies that use it:
        those that say ``vllm``, and those of ``auto`` where vLLM is installed.
    """
    _answering.clear()
    _answering.add("torch")
    if kind == "vllm" or (kind == "auto" and find_spec("vllm") is not None):
        _answering.add("vllm")
    code_digest.cache_clear()
    closure.cache_clear()


@cache
def code_digest(script: str) -> str:
    """Return the SHA-256 of a script and of all the project's code that it can reach.

    Parameters
    ----------
    script
        Path of a script below ``scripts/`` without its ending, such as ``"axis/compute_axis"``.

    Raises
    ------
    ValueError
        There is no such script.
    """
    path = SCRIPTS / f"{script}.py"
    if not path.is_file():
        raise ValueError(
            f"no script {script!r} below {SCRIPTS}; name one such as axis/compute_axis"
        )
    digest = hashlib.sha256()
    for name in (script, *closure(script)):
        digest.update(f"{name}\0{_module(_path(name)).digest}\0".encode())
    _remember()
    return digest.hexdigest()


def digests_here(script: str) -> set[str]:
    """Return the digests of a script's code with each engine that may answer it."""
    answering, found = set(_answering), set()
    for kind in ENGINES:
        cover_engine(kind)
        found.add(code_digest(script))
    _answering.clear()
    _answering.update(answering)
    code_digest.cache_clear()
    closure.cache_clear()
    return found


@cache
def closure(script: str) -> tuple[str, ...]:
    """Return the modules whose code can change what ``script`` writes, sorted by name."""
    found: set[str] = set()
    waiting = list(_module(_path(script)).imports)
    while waiting:
        name = waiting.pop()
        if _is_in(name, CLIENT):
            waiting += [ENGINES[kind] for kind in _answering]
        if name in found or any(_is_in(name, inert) for inert in INERT):
            continue
        found.add(name)
        waiting += _module(_path(name)).imports
    return tuple(sorted(found))


def _is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def _path(name: str) -> Path:
    """Return the file of a module, or of a script named by its path."""
    if path := _find(name):
        return path
    return SCRIPTS / f"{name}.py"


def _find(module: str) -> Path | None:
    path = SCRIPTS.joinpath(*module.split("."))
    choices = (path.with_suffix(".py"), path / "__init__.py")
    return next((choice for choice in choices if choice.is_file()), None)


# Every process of a workflow reads the rules, and so digests all of the code. Parsing takes more
# than a second; the result is stored next to Snakemake's own records until the file changes.

_kept: dict[str, Any] = {}
_new: set[str] = set()


@cache
def _module(path: Path) -> _Module:
    state = path.stat()
    key, stamp = str(path.relative_to(SCRIPTS)), [state.st_size, state.st_mtime_ns]
    known = _recall().get(key)
    if known is None or known["stamp"] != stamp:
        tree = ast.parse(path.read_bytes())
        _strip(tree)
        known = {"stamp": stamp, "digest": _hash(tree), "imports": sorted(_imports(tree))}
        _kept[key] = known
        _new.add(key)
    return _Module(known["digest"], tuple(known["imports"]))


def _record() -> Path:
    return SCRIPTS.parent / ".snakemake" / "code_digests.json"


def _recall() -> dict[str, Any]:
    if not _kept:
        try:
            kept = json.loads(_record().read_text(encoding="utf-8"))
            _kept.update(kept if kept.pop("version", None) == _version() else {})
        except (OSError, ValueError, AttributeError):
            pass  # there is none yet, or it is damaged: the code is read again
    return _kept


def _remember() -> None:
    if not _new:
        return
    _new.clear()
    if os.access(_record().parent, os.W_OK):
        with replace_atomically(_record()) as partial:
            partial.write_text(json.dumps({"version": _version(), **_kept}), encoding="utf-8")


@cache
def _version() -> str:
    """Return the digest of this module, which decides what is hashed."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _strip(tree: ast.AST) -> None:
    """Remove what changes no result: docstrings, log lines, imports for type checkers."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                kept = [s for s in statements if not _is_idle(s)]
                setattr(node, field, kept or ([ast.Pass()] if statements else []))


def _is_idle(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        value = statement.value
        if isinstance(value, ast.Constant):
            return isinstance(value.value, str)
        return isinstance(value, ast.Call) and _is_log(value.func)
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    return False


def _is_log(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in _LOGGERS
    )


def _hash(tree: ast.AST) -> str:
    digest = hashlib.sha256()
    for token in _tokens(tree):
        digest.update(f"{token}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _tokens(value: object) -> Iterator[str]:
    """Yield a tree in one order. Empty fields are left out: Python versions differ in those."""
    if isinstance(value, ast.AST):
        yield type(value).__name__
        for name, field in ast.iter_fields(value):
            if field is not None and field != [] and name not in ("type_comment", "kind"):
                yield name
                yield from _tokens(field)
        yield ")"
    elif isinstance(value, list):
        for item in value:
            yield from _tokens(item)
        yield "]"
    else:
        yield repr(value)


def _imports(tree: ast.AST) -> set[str]:
    """Return the project's modules that running ``tree`` imports, at any place in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # "from a.b import c" runs a.b, and a.b.c where that is a module.
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    own = {name for name in names if name.startswith("personae.")}
    return {name for name in _with_parents(own) if _find(name)}


def _with_parents(names: Iterable[str]) -> Iterator[str]:
    """Yield modules and the packages above them, whose ``__init__`` runs before them."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:depth]) for depth in range(2, len(parts) + 1))
