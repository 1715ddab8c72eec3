"""Run one model server: ``python -m personae.inference.server --spec JSON --socket PATH``.

Clients start it this way and pass the listening socket as ``--fd``. With ``--port`` it serves other
machines, or chat clients, until it is stopped.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from personae.api.requests import EngineSpec
from personae.base.process_identity import ProcessIdentity
from personae.inference.client.server_directory import listen
from personae.inference.client.server_environment import TOKEN_VARIABLE
from personae.inference.server.access import AccessGuard, access_of
from personae.inference.server.app import create_app
from personae.inference.server.backend import Backend
from personae.inference.server.device_queue import Device
from personae.inference.server.http_errors import first_problem
from personae.inference.server.lifecycle import GRACE_SECONDS, LifecycleWatch, Server, SocketFile
from personae.inference.server.load_state import Load, Loading, Report
from personae.inference.server.presets import Presets

LOG = logging.getLogger("personae.inference.server")


def main(arguments: list[str], presets: Presets | None = None) -> None:
    """Serve until there is a reason to end, and leave no socket behind.

    Parameters
    ----------
    presets
        Interventions that clients may ask for by name.
    """
    options = _parser().parse_args(arguments)
    options.presets = presets
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    listener = _listener(options)
    socket_file = SocketFile(options.socket)
    status = 1
    try:
        _serve(options, listener, socket_file)
    except SystemExit:
        status = 0  # a signal, which uvicorn raises again once it has ended
    except Exception:
        LOG.exception("the server failed")
    finally:
        socket_file.remove()
        logging.shutdown()
        # A batch that is still running in the device's thread must not delay the exit.
        os._exit(status)


def _serve(options: argparse.Namespace, listener: socket.socket, socket_file: SocketFile) -> None:
    spec: EngineSpec = options.spec
    owner: ProcessIdentity | None = options.owner
    device, loading = Device(), Loading(_loader(spec))
    config = uvicorn.Config(
        _app(options, loading, device),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, device, socket_file)
    # A server on a port was started by a user, who also stops it.
    idle = math.inf if options.socket is None else spec.idle_seconds
    LifecycleWatch(server, device, loading, socket_file, owner=owner, idle_seconds=idle).start()
    LOG.info("process %d serves %s on %s", os.getpid(), spec.model, listener.getsockname())
    server.run(sockets=[listener])


def _app(options: argparse.Namespace, loading: Loading, device: Device) -> FastAPI:
    """Return the app; on a port it asks for a token, which is printed once if it is a new one."""
    app = create_app(loading, device, Path(options.spec.model).name, options.presets)
    if options.port is not None:
        access, is_new = access_of(options.host, options.allow_host, is_open=options.open)
        app.add_middleware(AccessGuard, access=access)
        if is_new:
            # Printed, not logged: logs are stored and shown to others.
            print(f"token: {access.token}", file=sys.stderr, flush=True)
    return app


def _loader(spec: EngineSpec) -> Load:
    """Return the function that loads the engine, which first imports torch."""

    def load(report: Report) -> Backend:
        report("importing torch and transformers")
        from personae.inference.engine_choice import load_engine

        return load_engine(spec, report)

    return load


def _leave(number: int, _: FrameType | None) -> None:
    """Exit on a signal that arrives before or after uvicorn handles signals."""
    sys.exit(128 + number)


def _listener(options: argparse.Namespace) -> socket.socket:
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    if options.socket is not None:
        return listen(options.socket)
    return socket.create_server((options.host, options.port))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m personae.inference.server", description=__doc__
    )
    parser.add_argument("--spec", type=_spec, required=True, help="EngineSpec as JSON")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="path of the unix socket, made with mode 0600")
    where.add_argument(
        "--port",
        type=int,
        help=f"TCP port; requests need the token of {TOKEN_VARIABLE}, or the one that is printed",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address for --port")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which clients address the server on --port",
    )
    parser.add_argument(
        "--open", action="store_true", help="ask for no token; on --port of this machine alone"
    )
    parser.add_argument("--fd", type=int, help="open file of the already listening --socket")
    parser.add_argument(
        "--owner", type=ProcessIdentity.parse, help="host:job:pid:start of the workflow"
    )
    return parser


def _spec(text: str) -> EngineSpec:
    try:
        return EngineSpec.model_validate_json(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(first_problem(error.errors())) from None


if __name__ == "__main__":
    main(sys.argv[1:])
