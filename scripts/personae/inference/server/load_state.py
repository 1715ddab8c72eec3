"""The state of the model's load, as /health returns it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from personae.inference.client.launch import Health
from personae.inference.server.backend import Backend
from personae.inference.server.http_errors import NotReadyError, one_line

LOG = logging.getLogger(__name__)

Report = Callable[[str], None]
Load = Callable[[Report], Backend]


class Loading:
    """Loads the engine once and keeps it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._engine: Backend | None = None
        self.health = Health(state="loading", stage="starting")

    @property
    def engine(self) -> Backend:
        """The engine; raises `NotReadyError` until it is loaded."""
        if self._engine is None:
            raise NotReadyError(f"{self.health.state}: {self.health.error or self.health.stage}")
        return self._engine

    def run(self) -> None:
        """Load; an error is stored in ``health``, since this thread has no caller."""
        start = time.monotonic()
        try:
            self._engine = self._load(self._report)
        except Exception as error:  # any error is reported by /health
            LOG.exception("the load failed")
            text = f"{type(error).__name__}: {one_line(error)}"
            self.health = Health(state="failed", stage=self.health.stage, error=text)
        else:
            LOG.info("ready after %.1f s", time.monotonic() - start)
            self.health = Health(state="ready", stage="ready")

    def _report(self, stage: str) -> None:
        LOG.info("%s", stage)
        self.health = Health(state="loading", stage=stage)
