"""The sections `endpoints` and `assignments` of a study, and limits on what it may ask."""

import re
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from personae.base.field_types import Count, Slug, Strict

_ANSWERING: Final = {
    "base_url", "model", "temperature", "max_tokens", "max_tokens_field", "seed", "logprobs",
    "extra_body",
}  # fmt: skip


_OWN_SETTINGS: Final = frozenset(
    (
        "model", "messages", "temperature", "max_tokens", "max_completion_tokens", "seed",
        "logprobs", "top_logprobs", "stream",
    )
)  # fmt: skip


class Endpoint(Strict):
    """A chat model behind an OpenAI-compatible endpoint."""

    base_url: str = Field(description="Address of the endpoint, with /v1.")
    model: str = Field(description="Name of the model at that endpoint.")
    key_variable: str | None = Field(
        default="OPENAI_API_KEY",
        description="Variable of the environment or of .env that holds the key; null sends none.",
    )
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="Temperature; null sends none."
    )
    max_tokens: Count = Field(default=256, description="Most tokens of one answer.")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="What the endpoint calls that limit."
    )
    seed: int | None = Field(default=None, ge=0, description="Seed to send; null sends none.")
    logprobs: bool = Field(
        default=False,
        description="As a judge: score by the expectation over the numbers among the 20 likeliest "
        "first tokens, where the rubric and the endpoint allow it; else by the text.",
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="More of the request's body, as the endpoint documents it."
    )
    concurrency: Count = Field(
        default=8,
        description="Requests in flight at a time, over all nodes that share answers.",
    )
    requests_per_minute: Count | None = Field(
        default=None, description="Limit over all nodes that share answers; null is none."
    )
    tokens_per_minute: Count | None = Field(
        default=None, description="Limit over all nodes that share answers; null is none."
    )
    timeout: float = Field(default=60, gt=0, description="Seconds to wait for one answer.")
    attempts: Count = Field(
        default=6,
        description="How often a request is tried that fails for a passing reason; to be told to "
        "slow down is none.",
    )
    price_in: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens of requests."
    )
    price_out: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens of answers."
    )

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        # The messages do not repeat the address: it may hold a password.
        try:
            parts = urlsplit(value)
            ok = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            ok = False
        if not ok or re.search(r"\s", value):
            raise ValueError("no address; give one that begins with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it holds a user name or password; remove it and use key_variable")
        if parts.query or parts.fragment:
            raise ValueError("it holds ? or #; give the part before, up to /v1")
        return value

    @field_validator("key_variable")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError(
                "not the name of a variable; give the name, not the key, or null for no key"
            )
        return value

    @field_validator("extra_body")
    @classmethod
    def _extra(cls, value: dict[str, Any]) -> dict[str, Any]:
        if own := sorted(_OWN_SETTINGS & set(value)):
            raise ValueError(f"{', '.join(own)}: not allowed here; use the endpoint's own settings")
        return value

    def answering(self) -> dict[str, Any]:
        """Return what determines an answer; keys, limits and prices do not."""
        return self.model_dump(include=set(_ANSWERING))


class AssignmentsSection(Strict):
    """What endpoints do besides judging."""

    generators: dict[Slug, Slug] = Field(
        default={},
        description="Model of the study to the endpoint that serves the very same weights: plain "
        "responses of roles and traits then come from there. Steering and capping stay here.",
    )
    auditor: Slug | None = Field(
        default=None, description="Endpoint that plays the user in simulated conversations."
    )
    artifact_writer: Slug | None = Field(
        default=None,
        description="Endpoint that drafts a new trait for `personae library draft`.",
    )


class AnswerLimits(Strict):
    """What a study may ask of endpoints, and where their answers are kept."""

    max_unscored: float = Field(
        default=0.2, ge=0, le=1, description="A node fails when a larger share is unscored."
    )
    answers: str = Field(
        default="answers",
        description="Folder in which every answer of an endpoint is kept, for all studies, so "
        "that none is paid twice; relative to the project root.",
    )
    max_requests: Count | None = Field(
        default=None, description="Most requests that the study sends to endpoints; null is any."
    )
    max_cost: float | None = Field(
        default=None, gt=0, description="Most US dollars that the study pays endpoints; null: any."
    )
