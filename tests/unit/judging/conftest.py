"""A chat judge that uses a misbehaving endpoint on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personae.endpoints.runtime import Runtime
from personae.judging.chat_judge import ChatJudge
from personae.judging.rubrics import load_rubric_templates
from tests.unit.endpoints.conftest import _fast_and_with_key, runtime, serve
from tests.unit.endpoints.misbehaving import Behaviour, Endpoint

__all__ = ["_fast_and_with_key", "runtime", "serve"]

TEMPLATES = load_rubric_templates("config/judging/rubrics", Path(__file__).resolve().parents[3])


@pytest.fixture
def judge(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> Callable[..., ChatJudge]:
    """Return a function that makes a chat judge of an endpoint with a behaviour."""

    def make(behave: Behaviour, templates: Any = None, **settings: Any) -> ChatJudge:
        endpoint = serve(behave)
        made = ChatJudge("judge", runtime(endpoint.url, **settings), TEMPLATES, templates)
        made.endpoint = endpoint  # type: ignore[attr-defined]
        return made

    return make
