"""The OpenAI-compatible interface, tested with OpenAI's client."""

from __future__ import annotations

import json

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from personae.api.wire_encoding import pack_vector
from personae.inference.server.chat_stream import ChatEvents, PartialAnswer

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


def test_a_stream_tells_reason_seed_and_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="model", messages=HELLO, stream=True, seed=3, stop=" world",
        stream_options={"include_usage": True},
    )  # fmt: skip
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert chunks[-1].choices[0].seed == 3
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 2


def texts(events: ChatEvents, pieces: list[PartialAnswer]) -> list[str]:
    """Return the contents of the chunks of some pieces."""
    found = [events.write(piece).decode().removeprefix("data: ") for piece in pieces]
    chunks = [json.loads(event)["choices"][0]["delta"] for event in found if event]
    return [chunk.get("content", "") for chunk in chunks]


def test_chunks_hold_what_is_new_and_nothing_that_may_be_taken_back() -> None:
    pieces = [PartialAnswer(0, text) for text in ("a", "ab", "ab\ufffd", "ab\u00e9", "ab\u00e9c")]
    assert texts(ChatEvents({}, []), [*pieces, PartialAnswer(0, "ab\u00e9c", {})]) == [
        "a", "b", "\u00e9", "c", "",
    ]  # fmt: skip
    assert texts(
        ChatEvents({}, ["STOP"]), [PartialAnswer(0, "aST"), PartialAnswer(0, "abSTOP later")]
    ) == ["ab"]
    assert "".join(
        texts(ChatEvents({}, ["STOP"]), [PartialAnswer(0, "abST"), PartialAnswer(0, "abST", {})])
    ) == ("abST")


def test_steered_chat(client: openai.OpenAI) -> None:
    steering = {
        "interventions": [{"op": "add", "layer": 1, "vector": "v", "coefficient": 2.0}],
        "vectors": {"v": pack_vector(np.ones(4))},
    }
    answer = client.chat.completions.create(model="model", messages=HELLO, extra_body=steering)
    assert answer.choices[0].message.content == "hello world"
    del steering["vectors"]
    with pytest.raises(openai.BadRequestError, match="no vector 'v', only"):
        client.chat.completions.create(model="model", messages=HELLO, extra_body=steering)


def test_a_text_is_continued_without_a_template(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="model", prompt="On", stop=" on", n=2)
    assert [choice.text for choice in answer.choices] == ["On and"] * 2
    stream = client.completions.create(model="model", prompt=["On"], stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "On and on"
    several = client.completions.create(model="model", prompt=["one", "two"], n=2, seed=1)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert [choice.text[:3] for choice in several.choices] == ["one", "one", "two", "two"]
    with pytest.raises(openai.APIStatusError, match="prompt"):
        client.completions.create(model="model", prompt=[])


def test_what_clients_send_without_meaning_it_is_taken(client: openai.OpenAI) -> None:
    idle = {
        "tools": [], "tool_choice": "auto", "logit_bias": {}, "response_format": {"type": "text"},
        "logprobs": False, "metadata": {}, "parallel_tool_calls": True, "user": "me",
    }  # fmt: skip
    answer = client.chat.completions.create(model="model", messages=HELLO, **idle)
    assert answer.choices[0].message.content == "hello world"


def test_a_vector_may_be_a_list_of_numbers(client: openai.OpenAI) -> None:
    steering = {"interventions": [{"op": "add", "layer": 1, "vector": "v"}]}
    for vector, fits in (([1, 0.5, 0, 0], True), ([1, "x"], False), ([1e39], False), ([], False)):
        body = {**steering, "vectors": {"v": vector}}
        if fits:
            client.chat.completions.create(model="model", messages=HELLO, extra_body=body)
        else:
            with pytest.raises(openai.APIStatusError, match=r"vectors\.v"):
                client.chat.completions.create(model="model", messages=HELLO, extra_body=body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", '{"model":"model","messages":[{"role":"user","content":"S"}]}'),
        ("/v1/chat/completions", '{"S":1}'),
        ("/v1/embeddings", '{"model":"stand-in-embedder","input":"S"}'),
        ("/generate", '{"rows":[{"id":"S","seed":1,"messages":[{"role":"user","content":"x"}]}]}'),
    ],
)
def test_a_lone_surrogate_is_refused(http: TestClient, path: str, body: str) -> None:
    for written in (b"\\ud800", b"\\uDFFF", b"\xed\xa0\x80"):
        content = body.encode().replace(b"S", written)
        reply = http.post(path, content=content, headers={"content-type": "application/json"})
        assert reply.status_code == 400
        assert "lone surrogate" in reply.json()["error"]["message"]
    whole = body.encode().replace(b"S", b"\\ud83d\\ude00")
    reply = http.post(path, content=whole, headers={"content-type": "application/json"})
    assert reply.status_code in (200, 422)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty: Input should be 0"),
        ({"logprobs": True}, "logprobs are not offered by this engine"),
        ({"logprobs": True, "top_logprobs": 5}, "top_logprobs: Input should be 0"),
        ({"tools": [{"type": "function"}]}, "tools: List should have at most 0 items"),
        ({"response_format": {"type": "json_object"}}, "response_format.type: Input should be"),
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
