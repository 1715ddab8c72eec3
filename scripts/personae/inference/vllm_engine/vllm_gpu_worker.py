"""vLLM's GPU worker with the hooks; named in vLLM's settings, which import it."""

from __future__ import annotations

from vllm.v1.worker.gpu_worker import Worker

from personae.inference.vllm_engine.worker_extension import ExtendedWorker


class HookedGpuWorker(ExtendedWorker, Worker):
    """One rank on a GPU."""
