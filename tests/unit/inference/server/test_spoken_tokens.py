"""Streamed tokens and their log-probabilities, from the real engine by OpenAI's client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import torch
from fastapi.testclient import TestClient

from personae.api.requests import EngineSpec
from personae.inference.server.app import create_app
from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading
from personae.inference.torch_engine.engine import Engine
from tests.unit.inference.engine.families import prepare_tiny

from .harness import wait_until

HELLO = [{"role": "user", "content": "hello world"}]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A tiny model as the table calls it: ``tiny``, from the folder ``source``."""
    folder = prepare_tiny(tmp_path_factory.mktemp("spoken"))
    return Engine(EngineSpec(model=str(folder), dtype="float32", device="cpu"))


@pytest.fixture
def client(engine: Engine) -> Iterator[openai.OpenAI]:
    loading = Loading(lambda report: engine)
    app = create_app(loading, Device(), Path(engine.spec.model).name)
    with TestClient(app) as http:
        assert wait_until(lambda: loading.health.state == "ready", 10)
        yield openai.OpenAI(
            api_key="unused", base_url="http://testserver/v1", http_client=http, max_retries=0
        )


def test_the_model_goes_by_its_name_in_the_table_and_by_its_id(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "tiny"
    assert names[1].endswith("/source")
    for name in names[:2]:
        assert client.chat.completions.create(model=name, messages=HELLO, max_tokens=2).choices


def test_a_stream_comes_token_by_token_and_is_the_whole_answer(client: openai.OpenAI) -> None:
    options = {"model": "tiny", "messages": HELLO, "seed": 5, "max_tokens": 24, "n": 2}
    whole = client.chat.completions.create(**options)
    chunks = list(client.chat.completions.create(**options, stream=True))
    for choice in whole.choices:
        own = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == choice.index]
        assert "".join(part.delta.content or "" for part in own) == choice.message.content
        assert own[-1].finish_reason == choice.finish_reason
        assert len([part for part in own if part.delta.content]) > 5


def test_logprobs_are_those_of_a_plain_forward(client: openai.OpenAI, engine: Engine) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=HELLO, seed=5, max_tokens=8, logprobs=True
    )
    (choice,) = answer.choices
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    from personae.api.requests import GenerateRequest, GenerateRow, Message, Sampling

    row = GenerateRow(id="0", seed=5, messages=[Message(role="user", content="hello world")])
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)
    (same,) = engine.generate(GenerateRequest(rows=[row], sampling=sampling))
    ids = torch.tensor([[*same.prompt_ids, *same.response_ids]])
    with torch.inference_mode():
        logits = engine.loaded.model(input_ids=ids).logits[0, len(same.prompt_ids) - 1 : -1]
    expected = logits.log_softmax(-1).gather(1, torch.tensor(same.response_ids)[:, None])[:, 0]
    found = [token.logprob for token in choice.logprobs.content]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_an_echo_scores_every_token_of_several_prompts(
    client: openai.OpenAI, engine: Engine
) -> None:
    """As lm-eval asks: prompts as token ids, one new token, log-probabilities of all."""
    prompts = [[5, 9, 2, 7], [4, 3]]
    answer = client.completions.create(
        model="tiny", prompt=prompts, max_tokens=1, logprobs=1, echo=True, temperature=0, seed=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 6
    for prompt, choice in zip(prompts, answer.choices, strict=True):
        found = choice.logprobs
        assert found is not None
        assert found.tokens is not None
        assert found.top_logprobs is not None
        ids = [int(token.removeprefix("token_id:")) for token in found.tokens]
        assert ids[: len(prompt)] == prompt
        with torch.inference_mode():
            logits = engine.loaded.model(input_ids=torch.tensor([ids])).logits[0, :-1]
        scores = logits.float().log_softmax(-1)
        expected = scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        assert found.token_logprobs is not None
        assert found.token_logprobs[0] is None
        np.testing.assert_allclose(found.token_logprobs[1:], expected.numpy(), atol=1e-4)
        best = [max(top.values()) for top in found.top_logprobs[1:]]
        np.testing.assert_allclose(best, scores.amax(1).numpy(), atol=1e-4)
        # The new token is the most likely one, and the only one that is for certain.
        assert list(found.top_logprobs[-1]) == [found.tokens[-1]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"logprobs": 1}, "need echo"),
        ({"logprobs": 1, "echo": True, "stream": True}, "not supported in a stream"),
        (
            {
                "logprobs": 1, "echo": True,
                "extra_body": {
                    "interventions": [
                        {"op": "add", "layer": 0, "vector": "v", "positions": "response"}
                    ],
                    "vectors": {"v": [1.0] * 32},
                },
            },
            "at all positions",
        ),
    ],
)  # fmt: skip
def test_an_echo_that_cannot_be_scored_is_refused(
    client: openai.OpenAI, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        client.completions.create(model="tiny", prompt="hello", max_tokens=1, **options)
