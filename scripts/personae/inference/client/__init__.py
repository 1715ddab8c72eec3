"""The client of the model server: find or start a server and send requests. Imports no torch."""

from personae.base.workflow_owner import claim_ownership
from personae.inference.client.launch import is_running
from personae.inference.client.session import EngineClient, connect
from personae.inference.engine_errors import EngineError

__all__ = ["EngineClient", "EngineError", "claim_ownership", "connect", "is_running"]
