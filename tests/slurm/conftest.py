"""A Slurm for the session, and a copy of the project with a tiny model for every test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.signals import reset_signals

from .cluster import Cluster, SlurmError, find_or_start, wait_until

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
COPIED = ("Snakefile", "config", "envs", "profiles", "rules", "scripts")
# The plugin looks at the jobs' states ever more rarely; tests have no time for that.
_POLL = """\
import sys

if "--profile" in sys.orig_argv:
    import asyncio

    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    async def sleep(self):
        await asyncio.sleep(1)

    RemoteExecutor.sleep = sleep
"""
STRUCK = ("roles/generate_role_responses.py", "roles/extract_role_activations.py")
ROLES = ("pirate", "wizard", "librarian", "default")
_HEADER = (
    "name display_name kind source id revision n_layers hidden_size middle_layer capping_bands "
    "gpus gpu_mem_gb mem_gb license"
)


class Computed(NamedTuple):
    """One node that was computed, not restored."""

    node: str
    job: str
    gpu: str
    server: str
    start: float
    end: float


@dataclass
class Project:
    """A copy of the project, in which Snakemake runs on the cluster."""

    root: Path
    cluster: Cluster

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a head process: polling fast, four personas a group."""
        kept = {k: v for k, v in self.cluster.environment.items() if not k.startswith("PERSONAE")}
        return {
            **kept,
            "PYTHONPATH": f"{self.root / 'scripts'}:{self.root / 'poll'}",
            "PERSONAE_SOCKET_DIR": str(self.root / "tmp"),
            "PERSONAE_SLURM_POLL_SECONDS": "1",
            "PERSONAE_SLURM_GROUP": "4",
            "PERSONAE_SLURM_PARTITION": os.environ.get("PERSONAE_SLURM_PARTITION", ""),
            **extra,
        }

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start Snakemake in the background; its output goes to ``head.log``."""
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm"]
        command += ["--configfile", "study.yaml", "--latency-wait", "20", *arguments]
        with (self.root / "head.log").open("a") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(**extra),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=reset_signals,
            )

    def run(self, *arguments: str, seconds: float = 200, **extra: str) -> int:
        """Run Snakemake to its end; return its status."""
        process = self.start(*arguments, **extra)
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            pytest.fail(f"still running after {seconds:g} s:\n{self.said[-4000:]}")

    @property
    def said(self) -> str:
        """The output of Snakemake."""
        return (self.root / "head.log").read_text()

    def targets(self, *roles: str, table: str = "activations") -> list[str]:
        """Return files of the roles arm."""
        return [f"results/tiny/tiny/roles/{role}/{table}.parquet" for role in roles or ROLES]

    def strike(self, node: str, command: str) -> None:
        """Set the fault of a node, see `fault`."""
        (self.root / "faults" / node).write_text(command)

    def is_struck(self, node: str) -> bool:
        """Whether the fault of a node has happened."""
        path = self.root / "struck"
        return path.exists() and f"{node} " in path.read_text()

    def await_node(self, node: str, seconds: float = 90) -> None:
        """Wait until a node was computed or failed."""
        happened = wait_until(
            lambda: self.is_struck(node) or node in self.times_computed(), seconds
        )
        assert happened, f"{node} never ran:\n{self.said[-3000:]}"

    @property
    def computed(self) -> list[Computed]:
        """Nodes in the order in which they were computed."""
        path = self.root / "computed"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Computed(*parts[:4], *map(float, parts[4:])) for parts in map(str.split, lines)]

    def times_computed(self) -> Counter[str]:
        """How often every node was computed."""
        return Counter(one.node for one in self.computed)

    def assert_complete(self, *roles: str, twice: tuple[str, ...] = ()) -> None:
        """Assert that outputs are there and whole, and that nothing finished was lost.

        Every node was computed once, but for those that the fault hit.
        """
        from personae.data import tables

        for role in roles or ROLES:
            folder = self.root / "results" / "tiny" / "tiny" / "roles" / role
            responses = tables.read(folder / "responses.parquet", "role_responses")
            means = tables.read(folder / "activations.parquet", "activations")
            found = set(means["response_id"].to_pylist())
            assert found <= set(responses["response_id"].to_pylist())
            assert responses.num_rows == 3  # one prompt, three questions
        often = {node: n for node, n in self.times_computed().items() if n > 1}
        assert set(often) <= set(twice), f"computed again: {often}"

    def assert_queue_empty(self) -> None:
        """Assert that no job of this project waits or runs."""
        assert wait_until(lambda: not self.cluster.jobs(), 20), self.cluster.jobs()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Slurm, or a skip with the reason."""
    with tempfile.TemporaryDirectory(prefix="ps-") as name:
        try:
            found = find_or_start(Path(name) / "slurm")
        except SlurmError as error:
            if os.environ.get("PERSONAE_NEEDS_SLURM"):
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield found
        found.stop()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random-weight model of four small layers."""
    from tests.unit.inference.engine.families import FAMILIES, make_model, make_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    make_model("llama3").save_pretrained(folder)
    make_tokenizer(FAMILIES["llama3"].template).save_pretrained(folder)
    return folder


@pytest.fixture
def project(
    cluster: Cluster, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A fresh copy; its jobs, and servers with them, end with the test."""
    with tempfile.TemporaryDirectory(prefix="pp-") as name:
        root = Path(name)
        _copy(root, tiny_model, gpus=1 if cluster.own else 0)
        made = Project(root, cluster)
        yield made
        for job in cluster.jobs() if cluster.own else []:
            subprocess.run(["scancel", job], env=cluster.environment, check=False)
        wait_until(lambda: not cluster.own or not cluster.jobs(), 20)
        _end_all_in(root)


def _end_all_in(root: Path) -> None:
    """End processes that a fault left running, as this Slurm has no control groups to end them."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            working = Path(os.readlink(process / "cwd"))
        except OSError:  # ended, or not ours
            continue
        if working.is_relative_to(root) and int(process.name) != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)


def _copy(root: Path, model: Path, *, gpus: int) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, root / name)
    (root / "slurm").symlink_to("profiles/slurm")
    for name in ("faults", "tmp", "poll"):
        (root / name).mkdir()
    (root / "poll" / "sitecustomize.py").write_text(_POLL)
    shutil.copy2(HERE / "study.yaml", root / "study.yaml")
    shutil.copy2(HERE / "fault.py", root / "scripts" / "personae" / "fault.py")
    values = f"tiny Tiny chat folder {model} - 4 32 2 1-2 {gpus} 1 1 MIT".split()
    tiny = dict(zip(_HEADER.split(), values, strict=True))
    lines = (ROOT / "config" / "models.tsv").read_text(encoding="utf-8").splitlines()
    header, *table = (line for line in lines if not line.startswith("#"))
    cells = (tiny.get(name, "-") for name in header.split("\t"))
    row = "\t".join("" if cell == "-" else cell for cell in cells)
    embedder = next(line for line in table if line.startswith("minilm_l6"))
    (root / "models.tsv").write_text("\n".join([header, row, embedder, ""]), encoding="utf-8")
    for script in STRUCK:
        path = root / "scripts" / script
        pattern = r"run_model_node\((\s*)snakemake,(\s*)main,"
        text, n = re.subn(pattern, r"run_model_node(\1snakemake,\2struck(main),", path.read_text())
        assert n == 1
        imported = "    from personae.fault import struck\n    from personae.workflow.node"
        path.write_text(text.replace("    from personae.workflow.node", imported))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Repeat these tests once if they fail.

    A loaded machine can miss Slurm's deadlines; an error of the project fails twice.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
