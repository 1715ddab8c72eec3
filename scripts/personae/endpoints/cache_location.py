"""The folder of this machine in which all jobs of a user share the limits of an endpoint."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from personae.base.errors import PersonaeError
from personae.endpoints.endpoint_settings import Endpoint

VARIABLE: Final = "PERSONAE_LIMITS_DIR"


def limits_root() -> Path:
    """Return the folder for the limits of all endpoints."""
    default = Path(tempfile.gettempdir()) / f"personae-limits-{os.getuid()}"
    return Path(os.environ.get(VARIABLE) or default)


def limits_folder(endpoint: Endpoint) -> Path:
    """Return the folder for the limits of a model at an address, private and made if need be.

    Raises
    ------
    PersonaeError
        When the folder belongs to somebody else.
    """
    root = limits_root()
    # Another key is another account with limits of its own; its variable stands for it.
    name = f"{endpoint.base_url.rstrip('/')} {endpoint.model} {endpoint.key_variable}"
    folder = root / hashlib.sha256(name.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = root.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise PersonaeError(f"{root}: belongs to another user; set {VARIABLE} to a folder of yours")
    return folder
