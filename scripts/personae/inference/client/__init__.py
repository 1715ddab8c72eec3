"""The thin side of the model server: find or start it, ask it, and own it. Free of torch."""

from personae.base.workflow_owner import claim_ownership
from personae.inference.client.session import EngineClient, connect
from personae.inference.engine_errors import EngineError

__all__ = ["EngineClient", "EngineError", "claim_ownership", "connect"]
