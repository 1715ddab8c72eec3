"""Streamed tokens and their log-probabilities, from the real engine by OpenAI's client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model
from tests.unit.inference.engine.families import load_tiny

from .harness import wait_until

HELLO = [{"role": "user", "content": "hello world"}]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A tiny model as the table calls it: ``tiny``, from the folder ``source``."""
    root = tmp_path_factory.mktemp("spoken")
    tiny = load_tiny("llama3")
    tiny.model.save_pretrained(root / "source")
    tiny.tokenizer.save_pretrained(root / "source")
    source = ModelSource(
        name="tiny", kind="chat", source="folder", id=str(root / "source"), revision="", license="-"
    )
    prepare_model(source, root / "tiny")
    return Engine(EngineSpec(model=str(root / "tiny"), dtype="float32", device="cpu"))


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
