"""The OpenAI-compatible face, seen by OpenAI's own client."""

from __future__ import annotations

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from personae.api.wire_encoding import pack_vector

HELLO = [{"role": "user", "content": "hello world"}]


@pytest.fixture
def client(http: TestClient) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="unused", base_url="http://testserver/v1", http_client=http, max_retries=0
    )


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="model", messages=HELLO, seed=3, n=2)
    assert [choice.message.content for choice in answer.choices] == ["hello world"] * 2
    assert [choice.finish_reason for choice in answer.choices] == ["stop"] * 2
    assert [choice.seed for choice in answer.choices] == [3, 4]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 4)


def test_chat_in_parts_with_stop(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "hello "}, {"type": "text", "text": "big world"}]
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": parts}]
    answer = client.chat.completions.create(model="model", messages=messages, stop=["x", " world"])
    assert answer.choices[0].message.content == "hello big"


def test_streamed_chat(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="model", messages=HELLO, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "hello world"


def test_steered_chat(client: openai.OpenAI) -> None:
    steering = {
        "interventions": [{"op": "add", "layer": 1, "vector": "v", "coefficient": 2.0}],
        "vectors": {"v": pack_vector(np.ones(4))},
    }
    answer = client.chat.completions.create(model="model", messages=HELLO, extra_body=steering)
    assert answer.choices[0].message.content == "hello world"
    del steering["vectors"]
    with pytest.raises(openai.BadRequestError, match="- row '0': no vector 'v'"):
        client.chat.completions.create(model="model", messages=HELLO, extra_body=steering)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty: Input should be 0"),
        ({"logprobs": True}, "logprobs: Input should be False"),
        ({"tools": []}, "tools: Extra inputs are not permitted"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ],
)
def test_what_is_not_offered_is_refused(
    client: openai.OpenAI, options: dict[str, object], message: str
) -> None:
    with pytest.raises(openai.APIStatusError, match=message) as caught:
        client.chat.completions.create(**{"model": "model", "messages": HELLO, **options})
    assert caught.value.status_code in {400, 422}


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="'gpt-4' is not served here"):
        client.chat.completions.create(model="gpt-4", messages=HELLO)


def test_embeddings(client: openai.OpenAI) -> None:
    # OpenAI's client asks for base64 unless told otherwise.
    for encoding in ({}, {"encoding_format": "float"}):
        answer = client.embeddings.create(model="stand-in-embedder", input=["a", "bcd"], **encoding)
        assert [item.embedding for item in answer.data] == [[1.0, 1.0], [3.0, 1.0]]
    single = client.embeddings.create(model="stand-in-embedder", input="ab")
    assert single.data[0].embedding == [2.0, 1.0]


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["model", "stand-in-embedder"]
