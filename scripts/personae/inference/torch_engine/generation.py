"""Generate responses: chat messages in; token ids, text, seed and finish reason out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from personae.api.requests import GenerateRequest, GenerateRow
from personae.api.wire_encoding import unpack_vector
from personae.inference.chat_model import prompt_of
from personae.inference.chat_templates import system_inserted
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.batching import OversizedRows, is_out_of_memory, release_memory
from personae.inference.torch_engine.decoding import PULSE, Decoder, DecodingRow, FinishReason
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.recorded_steps import StepRecorder
from personae.inference.torch_engine.sampling import uniforms

Progress = Callable[[int, int], None]
Hear = Callable[[str, str], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerationResult:
    """One response.

    ``response_ids`` exclude the token that ended the turn; ``fired`` is the number of positions at
    which the row's interventions acted, summed over interventions.
    """

    id: str
    prompt_ids: list[int]
    response_ids: list[int]
    text: str
    finish_reason: FinishReason
    seed: int
    system_inserted: str
    fired: int


def generate(
    loaded: LoadedModel,
    request: GenerateRequest,
    max_batch_tokens: int = 32768,
    progress: Progress | None = None,
    hear: Hear | None = None,
    recorder: StepRecorder | None = None,
) -> Iterator[GenerationResult]:
    """Yield one response for every row, as the rows finish.

    Parameters
    ----------
    max_batch_tokens
        Largest number of tokens in the cache (rows x longest row); halved when memory runs out.
    progress
        Called with the numbers of finished rows and of all rows; may raise to stop the work.
    hear
        Called after every step with the name and the current text of every unfinished row.
    recorder
        What records decoding steps; None if none are recorded.

    Raises
    ------
    RequestError
        If a row is too long for the model. At the end, with names, if rows do not fit in memory
        even alone.
    InterventionError
        If an intervention acted at other positions than requested, or none of the request acted.
    """
    rows = [_prepare(loaded, row, request.sampling.max_new_tokens) for row in request.rows]
    asked = {row.id: row for row in request.rows}
    vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
    waiting, done, unfit = rows, 0, OversizedRows()
    while waiting:
        pulse = 1 if hear else PULSE
        decoder = Decoder(
            loaded, waiting, vectors, request.sampling, max_batch_tokens, pulse, recorder
        )
        try:
            for finished in decoder.run():
                for row in finished:
                    yield _result(loaded, asked[row.name], row)
                if hear is not None:
                    for row in decoder.running:
                        hear(row.name, _text(loaded, row))
                done += len(finished)
                if progress is not None:
                    progress(done, len(rows))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        waiting = decoder.unfinished()
        if waiting:
            if decoder.max_rows == 1:
                unfit.add(waiting.pop(0).name)
            else:
                max_batch_tokens = _halved(decoder)
            # Free its cache before the next decoder allocates one.
            del decoder
            release_memory()
    unfit.refuse(len(rows))
    if any(row.interventions for row in rows) and not any(row.fired for row in rows):
        raise InterventionError("no intervention of the request ever acted")


def _prepare(loaded: LoadedModel, row: GenerateRow, max_new_tokens: int) -> DecodingRow:
    """Render a row's prompt and draw its random numbers."""
    max_new_tokens = row.max_new_tokens or max_new_tokens
    prompt = prompt_of(loaded, row, max_new_tokens)
    return DecodingRow(prompt, row.interventions, uniforms(row.seed, max_new_tokens), name=row.id)


def _halved(decoder: Decoder) -> int:
    """Return the token limit for half as many rows."""
    logger.warning("out of memory with %d rows; continuing with half as many", decoder.max_rows)
    return decoder.longest * (decoder.max_rows // 2)


def _text(loaded: LoadedModel, row: DecodingRow) -> str:
    return str(loaded.tokenizer.decode(row.tokens, skip_special_tokens=True))


def _result(loaded: LoadedModel, request: GenerateRow, row: DecodingRow) -> GenerationResult:
    assert row.finish_reason is not None, "every row was run to its end"
    return GenerationResult(
        id=request.id,
        prompt_ids=row.prompt,
        response_ids=row.tokens,
        text=_text(loaded, row),
        finish_reason=row.finish_reason,
        seed=request.seed,
        system_inserted=system_inserted(loaded.tokenizer, request.messages),
        fired=row.fired,
    )
