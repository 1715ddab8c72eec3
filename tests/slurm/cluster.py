"""A real Slurm for the tests: the cluster of this machine, or one that the tests start.

The own one is private: its configuration, keys, state and sockets live in a temporary folder, and
it ends with the tests. It needs root and the packages slurm-wlm and munge of Debian or Ubuntu. Its
node claims more CPUs than the machine may have, and four GPUs that are clones of /dev/null: enough
for CUDA_VISIBLE_DEVICES to be set as on a real one. It keeps no accounts, so ``sacct`` fails.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from personae.base.process_identity import ProcessIdentity

CPUS, GPUS = 8, 4
PACKAGES = "slurm-wlm and munge"
_DAEMONS = ("munged", "slurmctld", "slurmd")
_CONFIG = """\
ClusterName=personae
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=15
SlurmctldPort={controller}
SlurmdPort={worker}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=0
SlurmdTimeout=60
KillWait=3
MinJobAge=300
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
PartitionName=cpu Nodes={host} MaxTime=INFINITE DefaultTime=60 State=UP
"""


class SlurmError(Exception):
    """No Slurm for the tests; the message is the reason to skip them."""


@dataclass
class Cluster:
    """A running Slurm and the environment in which its commands find it."""

    environment: dict[str, str]
    own: bool
    folder: Path | None = None
    _processes: list[Path] = field(default_factory=list)

    def run(self, *command: str, timeout: float = 30) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode:
            raise SlurmError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def jobs(self, *options: str) -> list[str]:
        """Return the ids of jobs that are waiting or running."""
        return self.run("squeue", "--noheader", "--format=%i", *options).split()

    def stop(self) -> None:
        """End a Slurm that was started here; one that was found keeps running."""
        if not self.own:
            return
        for job in _output(self, "squeue", "--noheader", "--format=%i").split():
            subprocess.run(["scancel", job], env=self.environment, check=False)
        wait_until(lambda: not _output(self, "squeue", "--noheader"), 15)
        for path in reversed(self._processes):
            _end(path)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def find_or_start(folder: Path) -> Cluster:
    """Return a Slurm that answers.

    Raises
    ------
    SlurmError
        Why there is none.
    """
    found = Cluster(dict(os.environ), own=False)
    if shutil.which("sinfo"):
        try:
            if "UP" in found.run("scontrol", "ping", timeout=10):
                return found
        except (SlurmError, subprocess.TimeoutExpired):
            pass  # its commands are installed, but no controller answers
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in _DAEMONS if not shutil.which(name, path=path)]
    if missing:
        raise SlurmError(f"no Slurm here: {', '.join(missing)} not found; install {PACKAGES}")
    if os.getuid() != 0:
        raise SlurmError("no Slurm answers here, and starting one needs root")
    return _start(folder, path)


def _start(folder: Path, path: str) -> Cluster:
    for name in ("munge", "state", "spool", "gpu", "bin"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    config = str(folder / "slurm.conf")
    # The executor's job steps forget SLURM_CONF, by which alone this cluster can be found.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}/bin:{path}", "SLURM_CONF": config}
    cluster = Cluster(environment, own=True, folder=folder)
    _write_config(folder)
    try:
        _start_munge(cluster, folder)
        cluster._processes.append(folder / "slurmctld.pid")
        cluster.run("slurmctld", "-f", environment["SLURM_CONF"])
        if not wait_until(lambda: "UP" in _output(cluster, "scontrol", "ping"), 30):
            raise SlurmError(f"slurmctld does not answer: {_tail(folder / 'slurmctld.log')}")
        cluster._processes.append(folder / "slurmd.pid")
        cluster.run("slurmd", "-f", environment["SLURM_CONF"])
        if not wait_until(lambda: "idle" in _output(cluster, "sinfo", "-h", "-o", "%T"), 30):
            raise SlurmError(f"no node comes up: {_tail(folder / 'slurmd.log')}")
    except (SlurmError, subprocess.TimeoutExpired) as error:
        cluster.stop()
        raise SlurmError(f"Slurm could not be started here: {error}") from None
    return cluster


def _write_config(folder: Path) -> None:
    host = platform.node().split(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    controller, worker = _free_ports()
    text = _CONFIG.format(
        host=host,
        folder=folder,
        cpus=CPUS,
        gpus=GPUS,
        # Claimed, like the CPUs: the tests' jobs need little of what they ask for.
        memory=max(memory, 64000),
        controller=controller,
        worker=worker,
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    devices = [folder / "gpu" / f"gpu{number}" for number in range(GPUS)]
    gres = f"Name=gpu File={folder}/gpu/gpu[0-{GPUS - 1}]"
    try:
        for device in devices:
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:  # a container that may not: counted, but no job sees its GPU's number
        gres = f"Name=gpu Count={GPUS} Flags=CountOnly"
    (folder / "gres.conf").write_text(f"AutoDetect=off\nNodeName={host} {gres}\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")


def _free_ports() -> tuple[int, int]:
    """Return two ports, both held until both are known."""
    local = ("127.0.0.1", 0)
    with socket.create_server(local) as first, socket.create_server(local) as second:
        return int(first.getsockname()[1]), int(second.getsockname()[1])


def _start_munge(cluster: Cluster, folder: Path) -> None:
    place = folder / "munge"
    key = place / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    place.chmod(0o755)
    files = {name: str(place / name) for name in ("socket", "key", "log", "seed", "pid")}
    cluster._processes.append(place / "pid")
    cluster.run(
        "munged", "--force",
        f"--socket={files['socket']}", f"--key-file={files['key']}", f"--log-file={files['log']}",
        f"--seed-file={files['seed']}", f"--pid-file={files['pid']}",
    )  # fmt: skip
    if not wait_until(lambda: Path(files["socket"]).exists(), 10):
        raise SlurmError(f"munged does not answer: {_tail(place / 'log')}")


def _output(cluster: Cluster, *command: str) -> str:
    try:
        return cluster.run(*command)
    except (SlurmError, subprocess.TimeoutExpired):
        return ""


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return " | ".join(lines[-3:]) or f"{path.name} is empty"


def _end(pid_file: Path) -> None:
    """End the daemon whose process id is in a file."""
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 15)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return
    if not wait_until(lambda: ProcessIdentity.of(pid) is None, 10):
        os.kill(pid, 9)
