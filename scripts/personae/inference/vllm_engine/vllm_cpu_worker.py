"""vLLM's CPU worker with the hooks; named in vLLM's settings, which import it."""

from __future__ import annotations

from vllm.v1.worker.cpu_worker import CPUWorker

from personae.inference.vllm_engine.worker_extension import ExtendedWorker


class HookedCpuWorker(ExtendedWorker, CPUWorker):
    """One rank on CPUs."""
