"""Endpoints, budget and folder of answers as the configuration of a run gives them.

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
    """What a run knows of endpoints.

    Attributes
    ----------
    study
        Whose budget is spent.
    endpoints
        By name.
    answers
        Folder of the database of answers.
    budget
        The most that the study may send and pay.
    max_unscored
        Largest share of a node's requests that may fail.
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
        """Return what a run's configuration, which was checked before, says."""
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
            When there is none of that name.
        """
        if name not in self.endpoints:
            known = ", ".join(self.endpoints) or "none"
            raise PersonaeError(f"endpoints: no {name!r} (known: {known}); add it")
        return self.endpoints[name]
