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
    model: str = Field(description="Name of the model at this endpoint.")
    key_variable: str | None = Field(
        default="OPENAI_API_KEY",
        description="Variable of the environment or of .env that holds the key; null sends none.",
    )
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="Temperature; null sends none."
    )
    max_tokens: Count = Field(default=256, description="Maximum tokens of one answer.")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="The endpoint's name for this limit."
    )
    seed: int | None = Field(default=None, ge=0, description="Seed to send; null sends none.")
    logprobs: bool = Field(
        default=False,
        description="As a judge: score by the expectation over the numbers among the 20 likeliest "
        "first tokens, where the rubric and the endpoint allow it; else by the text.",
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="Further fields of the request body, as documented by the endpoint."
    )
    concurrency: Count = Field(
        default=8,
        description="Maximum requests in flight, over all nodes that share answers.",
    )
    requests_per_minute: Count | None = Field(
        default=None, description="Limit over all nodes that share answers; null is no limit."
    )
    tokens_per_minute: Count | None = Field(
        default=None, description="Limit over all nodes that share answers; null is no limit."
    )
    timeout: float = Field(default=60, gt=0, description="Seconds to wait for one answer.")
    attempts: Count = Field(
        default=6,
        description="Maximum attempts of a request that fails for a transient reason. Being asked "
        "to slow down is not a failure.",
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
        """Return the settings that determine an answer: not keys, limits and prices."""
        return self.model_dump(include=set(_ANSWERING))


class AssignmentsSection(Strict):
    """Tasks of endpoints besides judging."""

    generators: dict[Slug, Slug] = Field(
        default={},
        description="Maps a model of the study to an endpoint that serves the same weights: it "
        "generates the plain responses of roles and traits. Steering and capping run locally.",
    )
    auditor: Slug | None = Field(
        default=None, description="Endpoint that plays the user in simulated conversations."
    )
    artifact_writer: Slug | None = Field(
        default=None,
        description="Endpoint that drafts the traits of traits.described without a file, and those "
        "of `personae library draft`.",
    )


class AnswerLimits(Strict):
    """Limits of a study on the use of endpoints, and the folder of their answers."""

    max_unscored: float = Field(
        default=0.2, ge=0, le=1, description="A node fails when a larger share is unscored."
    )
    answers: str = Field(
        default="answers",
        description="Folder of the answers of endpoints, shared by all studies, so that none is "
        "paid twice; relative to the project root.",
    )
    max_requests: Count | None = Field(
        default=None, description="Maximum requests of the study to endpoints; null is no limit."
    )
    max_cost: float | None = Field(
        default=None, gt=0, description="Maximum cost of the study in US dollars; null is no limit."
    )
