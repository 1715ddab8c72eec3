"""Cost of requests: reserved before they are sent, settled when they are answered."""

from __future__ import annotations

from dataclasses import dataclass

from personae.base.errors import PersonaeError
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.chat_request import Body, most_tokens
from personae.endpoints.endpoint_settings import Endpoint


@dataclass(frozen=True)
class Charge:
    """Number of requests, cost (US dollars) and tokens."""

    requests: int = 0
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __sub__(self, other: Charge) -> Charge:
        return Charge(
            self.requests - other.requests,
            self.cost - other.cost,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
        )


@dataclass(frozen=True)
class Budget:
    """Maximum requests and cost (US dollars) of a study; None is unlimited."""

    requests: int | None = None
    cost: float | None = None

    def __bool__(self) -> bool:
        return self.requests is not None or self.cost is not None

    def allows(self, spent: Charge, cost: float) -> bool:
        """Return whether one more request of at most ``cost`` stays within the budget."""
        over = self.requests is not None and spent.requests + 1 > self.requests
        # The factor absorbs rounding errors of the sum.
        return not (over or (self.cost is not None and spent.cost + cost > self.cost * (1 + 1e-12)))

    def used_up(self, spent: Charge) -> PersonaeError:
        """Return the error of a study that has spent its budget."""
        return PersonaeError(
            f"judging: the budget is used up (max_requests = {self.requests}, max_cost = "
            f"{self.cost}; {spent.requests} requests and ${spent.cost:.4f} so far); raise it and "
            "run again: all answers so far are kept"
        )


@dataclass(frozen=True)
class Prices:
    """US dollars per token."""

    prompt: float = 0.0
    completion: float = 0.0

    @classmethod
    def of(cls, endpoint: Endpoint) -> Prices:
        """Return the prices of an endpoint; zero if not given."""
        return cls((endpoint.price_in or 0.0) / 1e6, (endpoint.price_out or 0.0) / 1e6)

    def charge(self, body: Body, answer: ChatAnswer) -> Charge:
        """Return the cost of an answer; the upper bound if the endpoint reports no tokens."""
        most_prompt, most_completion = most_tokens(body)
        prompt = most_prompt if answer.prompt_tokens is None else answer.prompt_tokens
        completion = (
            most_completion if answer.completion_tokens is None else answer.completion_tokens
        )
        return Charge(1, self._cost(prompt, completion), prompt, completion)

    def bound(self, body: Body) -> float:
        """Return the maximum cost of a request."""
        return self._cost(*most_tokens(body))

    def _cost(self, prompt: int, completion: int) -> float:
        return prompt * self.prompt + completion * self.completion
