"""What the requests of a batch cost a study: reserved before they go out, settled after."""

from __future__ import annotations

from personae.endpoints.answer_store import AnswerStore
from personae.endpoints.answers import Answer, Body, Charge, Prices
from personae.endpoints.batch_end import used_up
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.error_meaning import Hopeless, Passing, Rejected
from personae.endpoints.runtime import Runtime

Sent = Answer | Passing | Rejected | Hopeless
"""What came of a request that went out."""


class Account:
    """The part of a study's account that one batch has open.

    Parameters
    ----------
    name
        Of the endpoint.
    endpoint
        Whose prices hold.
    runtime
        The study and its budget.
    store
        Where answers and charges are written down.
    """

    def __init__(self, name: str, endpoint: Endpoint, runtime: Runtime, store: AnswerStore) -> None:
        self._name, self._runtime, self._store = name, runtime, store
        self._prices = Prices.of(endpoint)
        self._open = 0  # requests that were let out and are not yet entered

    async def reserve(self, body: Body) -> bool:
        """Reserve the most that a request can cost; False while what is on the way ties that up.

        Raises
        ------
        PersonaeError
            When the budget is used up.
        """
        budget, study = self._runtime.budget, self._runtime.study
        if budget and not await self._store.reserve(study, self._prices.bound(body), budget):
            if self._open:
                return False
            raise used_up(budget, self._store.spent(study))
        self._open += 1
        return True

    async def enter(self, key: str, body: Body, sent: Sent) -> float:
        """Write down what came of a request, and return what its answer cost."""
        change = self._change(body, sent)
        try:
            if isinstance(sent, Answer):
                await self._store.keep(key, sent, self._name, (self._runtime.study, change))
                return self._prices.charge(body, sent).cost
            await self._store.settle(self._runtime.study, change)
            return 0.0
        finally:
            self._open -= 1

    def _change(self, body: Body, sent: Sent) -> Charge:
        """Return what is due for a request beyond what was reserved for it."""
        bound = self._prices.bound(body)
        if isinstance(sent, Answer):
            due = self._prices.charge(body, sent)
        else:
            # Whether a broken reply is billed is not known: then its bound is.
            due = Charge(1, bound if isinstance(sent, Passing) and sent.billed else 0.0)
        return due.beyond(Charge(1, bound)) if self._runtime.budget else due
