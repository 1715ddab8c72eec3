"""Endpoints, budget and folder of answers from the configuration of a run.

Limits, prices and budget change no answer, so they are not part of a node's params: a raised limit
reruns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personae.base.errors import PersonaeError
from personae.endpoints.endpoint_settings import AnswerLimits, Endpoint
from personae.endpoints.spending import Budget


@dataclass(frozen=True)
class Runtime:
    """Endpoints of a run, and the limits on their use.

    Attributes
    ----------
    study
        Study whose budget is used.
    endpoints
        Endpoints by name.
    answers
        Folder of the database of answers.
    budget
        Maximum requests and cost of the study.
    max_unscored
        Maximum share of a node's requests that may fail.
    root
        Folder of ``.env``.
    """

    study: str
    endpoints: Mapping[str, Endpoint]
    answers: Path
    budget: Budget = field(default=Budget())
    max_unscored: float = 0.2
    root: Path = Path()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Runtime:
        """Read a checked configuration."""
        section = config.get("judging", {})
        judging = AnswerLimits.model_validate(
            {name: section[name] for name in AnswerLimits.model_fields if name in section}
        )
        endpoints = {
            name: Endpoint.model_validate(fields)
            for name, fields in config.get("endpoints", {}).items()
        }
        return cls(
            study=str(config["study"]),
            endpoints=endpoints,
            answers=Path(judging.answers),
            budget=Budget(judging.max_requests, judging.max_cost),
            max_unscored=judging.max_unscored,
        )

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by name.

        Raises
        ------
        PersonaeError
            If no endpoint has that name.
        """
        if name not in self.endpoints:
            known = ", ".join(self.endpoints) or "none"
            raise PersonaeError(f"endpoints: no {name!r} (known: {known}); add it")
        return self.endpoints[name]
