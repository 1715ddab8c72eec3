"""A private copy of the project, run once to the end; tests mutate it and ask what would rerun."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parents[2]
MINI = ".test/config/demo.yaml"
COPIED = ("Snakefile", "config", "envs", "profiles", "rules", "scripts", ".test/config")
LINKED = ("local", "slurm")  # so that `--profile local` finds profiles/local


@dataclass(frozen=True)
class Job:
    """One planned job."""

    rule: str
    wildcards: dict[str, str]

    @property
    def persona(self) -> str:
        """The role, or the trait with its polarity, that the job is about; empty for aggregates."""
        names = (self.wildcards.get(key, "") for key in ("role", "trait", "polarity"))
        return "/".join(name for name in names if name)


@dataclass(frozen=True)
class Project:
    """A copy of the project and the Snakemake command line in it."""

    root: Path

    @property
    def socket_folder(self) -> Path:
        """Folder of the sockets of this project's model servers."""
        return Path("/tmp") / hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    def snakemake(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the mini study and return what it said."""
        arguments = ("--configfile", MINI, *arguments)
        return self.run("--cores", "2", *arguments, **extra)

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the project's root and return its output."""
        command, environment = self.command(*arguments, **extra)
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=1800
        )

    def command(self, *arguments: str, **extra: str) -> tuple[list[str], dict[str, str]]:
        """Return a Snakemake command line and its environment."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "scripts"),
            "TMPDIR": str(self.root / "tmp"),
            # What runs learn of this machine is kept in the cache; these are of tiny models.
            "XDG_CACHE_HOME": str(self.root / "tmp" / "cache"),
            "MPLCONFIGDIR": matplotlib.get_cachedir(),
            "PERSONAE_SOCKET_DIR": str(self.socket_folder),  # the path of a socket must be short
            **extra,
        }
        environment.pop("PERSONAE_OWNER", None)
        return [sys.executable, "-m", "snakemake", *arguments], environment

    def planned(self, *arguments: str) -> list[Job]:
        """Return the jobs of a dry run, without the target rule."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return parse_jobs(done.stdout + done.stderr)

    def path(self, name: str) -> Path:
        """Return a file of the mini study's results for its model."""
        return self.root / "results" / "mini" / "smollm2_135m" / name


def copy_linked(source: Path, target: Path, *left_out: str) -> None:
    """Copy a folder, but link weights, which nothing edits in place."""

    def copy(original: str, made: str) -> None:
        (os.link if original.endswith(".safetensors") else shutil.copy2)(original, made)

    ignored = shutil.ignore_patterns(*left_out)
    shutil.copytree(source, target, symlinks=True, copy_function=copy, ignore=ignored)


def parse_jobs(text: str) -> list[Job]:
    """Read rule names and wildcards from a dry run, in which jobs of a group are indented."""
    jobs = []
    for block in re.split(r"\n(?= *(?:local)?rule \w+:)", text):
        if found := re.match(r" *(?:local)?rule (\w+):", block):
            line = re.search(r"^ +wildcards: (.+)$", block, re.MULTILINE)
            pairs = [part.split("=", 1) for part in line.group(1).split(", ")] if line else []
            jobs.append(Job(found.group(1), {key: value for key, value in pairs}))
    return [job for job in jobs if job.rule != "all"]


def counts(jobs: list[Job]) -> Counter[str]:
    """Count jobs by rule."""
    return Counter(job.rule for job in jobs)


def copy_project(root: Path) -> Project:
    """Copy the project into a folder, without results."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    for name in LINKED:
        (root / name).symlink_to(os.readlink(ROOT / name))
    (root / "tmp").mkdir()
    return Project(root)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project from which nothing has been computed; tests do not change it."""
    made = copy_project(tmp_path_factory.mktemp("fresh"))
    yield made
    assert not (made.root / "results").exists(), "a test ran the workflow in the shared fresh copy"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The mini study, run to its end."""
    made = copy_project(tmp_path_factory.mktemp("project"))
    done = made.snakemake()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return made


@pytest.fixture
def edit(project: Project) -> Iterator[Callable[[str, str, str], None]]:
    """Replace text in a file of the project for the length of one test, mtimes included."""
    kept: dict[Path, tuple[bytes, os.stat_result]] = {}

    def replace(name: str, old: str, new: str) -> None:
        path = project.root / name
        kept.setdefault(path, (path.read_bytes(), path.stat()))
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    yield replace
    for path, (content, stat) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def without(project: Project) -> Iterator[Callable[[str], Path]]:
    """Take a result away for the length of one test."""
    moved: dict[Path, Path] = {}

    def take(name: str) -> Path:
        path = project.path(name)
        moved[path] = path.rename(path.with_suffix(".kept"))
        return path

    yield take
    for path, keeper in moved.items():
        path.unlink(missing_ok=True)
        keeper.rename(path)
