"""Whether recorded CUDA graphs change the stream as the tensor operations do, asked at the start.

A steered and a plain row are run twice, with graphs and without, over the same given tokens. Their
logits must agree: differences may be a tenth of what the interventions change. The counters of
both runs are verified as those of any request.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.inference.chat_model import ChatModel
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.vllm_engine.submission import Submitted, Submitter
from personae.inference.vllm_engine.vllm_job import Job

_PROMPT, _NEW = 12, 4
_SHARE = 0.1
# The scale of a model's stream is not known; the first that shows is taken.
_STRENGTHS = (3.0, 30.0, 300.0)

_Vectors = Mapping[str, NDArray[np.float32]]


def why_not_graphs(model: ChatModel, submitter: Submitter) -> str | None:
    """Return None if recorded graphs may be replayed, else the reason in a few words."""
    rng = np.random.default_rng(0)
    vectors = {name: rng.normal(size=model.hidden_size).astype(np.float32) for name in ("v", "w")}
    reason = ""
    for strength in _STRENGTHS:
        asked = _everywhere(model.n_layers, strength)
        try:
            found = [_logits(model, submitter, asked, vectors, graphs) for graphs in (False, True)]
        except InterventionError as error:
            return str(error)
        finally:
            submitter.call("use_graphs", True)
        reason = _difference(*found)
        if not reason:
            return None
    return reason


def _everywhere(n_layers: int, strength: float) -> list[Intervention]:
    """Return an intervention at every layer, of every kind, and two at the last."""
    asked = []
    for layer in range(n_layers):
        add = Intervention(op="add", layer=layer, vector="v", coefficient=strength)
        cap = Intervention(op="cap", layer=layer, vector="w", floor=strength, positions="response")
        ablate = Intervention(op="ablate", layer=layer, vector="w", positions="prompt")
        asked.append((add, cap, ablate)[layer % 3])
    return [*asked, Intervention(op="add", layer=n_layers - 1, vector="w", coefficient=strength)]


def _logits(
    model: ChatModel,
    submitter: Submitter,
    interventions: list[Intervention],
    vectors: _Vectors,
    graphs: bool,
) -> NDArray[np.float32]:
    """Return the logits of a steered and a plain row, [2, new tokens, vocabulary]."""
    usable = [i for i in range(model.vocab_size) if i not in model.stop_ids]
    prompt, given = usable[:_PROMPT], usable[_PROMPT : _PROMPT + _NEW]
    plan = [PlanRow(interventions, _PROMPT), PlanRow([], _PROMPT)]
    job = Job(model, plan, vectors, given=np.array([given, given], dtype=np.int32))
    submitter.call("use_graphs", graphs)
    rows = [Submitted(prompt, _NEW)] * 2
    for _ in job.run(submitter, rows, lambda _: None):
        pass
    assert job.logits is not None, "the tokens were given"
    return job.logits


def _difference(reference: NDArray[np.float32], found: NDArray[np.float32]) -> str:
    """Say how far the logits are apart, or nothing if they agree."""
    effect = np.abs(reference[0] - reference[1]).mean()
    for name, ours, theirs in zip(("steered", "plain"), found, reference, strict=True):
        apart = np.abs(ours - theirs).mean()
        if not apart <= _SHARE * effect:
            return f"logits of a {name} row differ by {apart:.3g}, interventions by {effect:.3g}"
    return ""
