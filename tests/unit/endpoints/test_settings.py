"""Settings of endpoints that cannot be meant are refused by a line that shows no secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from personae.base.validation_messages import explain
from personae.endpoints.endpoint_settings import Endpoint

GOOD = {"base_url": "https://host.example/v1", "model": "m"}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("base_url", "https://me:hunter22@host/v1", "user name or password"),
        ("base_url", "https://hunter22@host/v1", "user name or password"),
        ("base_url", "https://host/v1?key=hunter22", "holds \\? or #"),
        ("base_url", "ftp://host/hunter22", "begins with http:// or https://"),
        ("base_url", "file:///etc/hunter22", "begins with http:// or https://"),
        ("base_url", "host/hunter22", "begins with http:// or https://"),
        ("base_url", "https://", "begins with http:// or https://"),
        ("base_url", "https://host:99999/hunter22", "begins with http:// or https://"),
        ("base_url", "", "begins with http:// or https://"),
        ("key_variable", "", "null for no key"),
        ("key_variable", "sk-hunter22", "not the key"),
        ("extra_body", {"messages": [], "hunter22": 1}, "messages: not allowed"),
        ("extra_body", {"max_tokens": 3, "model": "x"}, "max_tokens, model: not allowed"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_one_line(field: str, value: Any, says: str) -> None:
    data = {**GOOD, field: value}
    with pytest.raises(ValidationError) as error:
        Endpoint.model_validate(data)
    (line,) = explain("study.yaml", error.value, Endpoint, data)
    assert line.startswith(f"study.yaml: {field}: ")
    with pytest.raises(ValueError, match=says):
        raise ValueError(line)
    assert "hunter22" not in line


def test_sound_settings_are_taken() -> None:
    for more in (
        {"base_url": "http://127.0.0.1:8000/v1"},
        {"base_url": "http://[::1]:8000/v1/"},
        {"key_variable": None},
        {"extra_body": {"reasoning_effort": "low", "n": 1}},
    ):
        Endpoint.model_validate({**GOOD, **more})
