"""Submit rows to vLLM's engine and step it until they are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from personae.inference.engine_errors import EngineError
from personae.inference.vllm_engine.worker_extension import ROW

# Steps after which the caller hears of the work although no row has finished.
_PULSE = 16


@dataclass(frozen=True)
class Submitted:
    """A row as vLLM gets it: its token ids and how many new ones it may have.

    With ``whole`` every position is computed, even where the cache has it.
    """

    ids: Sequence[int]
    max_new_tokens: int = 1
    whole: bool = False


class FinishedOutput(NamedTuple):
    """A row's number, and vLLM's output for it."""

    row: int
    output: Any


class Submitter:
    """Runs one request's rows at a time through vLLM's engine.

    Every request has its own cache namespaces, so its result depends only on it.

    Raises
    ------
    EngineError
        If vLLM or a hook in its workers fails; the engine cannot be used after that.
    """

    def __init__(self, engine: Any, stop_ids: frozenset[int]) -> None:
        self._engine, self._stop = engine, sorted(stop_ids)
        self._serial = count()
        self._broken: str | None = None

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker; return one result a rank."""
        results: list[Any] = self._guarded(
            lambda: self._engine.collective_rpc(method, args=arguments)
        )
        return results

    def run(
        self, rows: Sequence[Submitted], namespaces: Sequence[int]
    ) -> Iterator[list[FinishedOutput]]:
        """Yield rows as they finish, those of one step together, and now and then none.

        Only rows of the same namespace may take each other's cached prefixes. Rows that have not
        finished when the iterator is closed are given up.
        """
        serial = next(self._serial)
        waiting: set[str] = set()
        try:
            for number, (row, namespace) in enumerate(zip(rows, namespaces, strict=True)):
                name = f"{serial}-{number}"
                prompt = {
                    "prompt_token_ids": list(row.ids),
                    "cache_salt": f"{serial}-{namespace}",
                }
                self._add(name, prompt, self._parameters(number, row))
                waiting.add(name)
            for step in count(1):
                if not waiting:
                    return
                outputs = [o for o in self._guarded(self._engine.step) if o.finished]
                waiting -= {output.request_id for output in outputs}
                if outputs or step % _PULSE == 0:
                    yield [FinishedOutput(int(o.request_id.partition("-")[2]), o) for o in outputs]
        finally:
            if waiting and self._broken is None:
                self._engine.abort_request(sorted(waiting))

    def _add(self, name: str, prompt: dict[str, Any], parameters: Any) -> None:
        self._guarded(lambda: self._engine.add_request(name, prompt, parameters))

    def _parameters(self, number: int, row: Submitted) -> Any:
        """Return vLLM's sampling parameters; tokens are drawn by the worker itself."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=0.0,
            max_tokens=row.max_new_tokens,
            stop_token_ids=self._stop,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_reading_prefix_cache=row.whole,
            extra_args={ROW: number},
        )

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Call vLLM; after an error of vLLM or of a hook it is not called again."""
        if self._broken is not None:
            raise EngineError(f"vLLM's engine has ended: {self._broken}")
        try:
            return call()
        except Exception as error:  # whatever broke, the state of the engine is unknown
            lines = str(error).strip().splitlines() or [""]
            self._broken = f"{type(error).__name__}: {lines[0]}"
            raise EngineError(f"vLLM's engine failed: {self._broken}") from error
