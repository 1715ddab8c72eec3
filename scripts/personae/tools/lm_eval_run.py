"""Run lm-eval's tasks on a served model with its interventions: ``make lm-eval``.

lm-eval has an environment of its own (``.venv-lm-eval``). It asks ``/v1/completions`` of a model
server that this program starts and ends: log-likelihoods through echoed log-probabilities, and
generation, both with the model's chat template. Tasks of this project are in ``config/lm_eval``;
others are lm-eval's own and need their data, which lm-eval fetches from the hub.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from personae.base.errors import PersonaeError

TASKS: Final = Path("config/lm_eval")
PROGRAM: Final = Path(".venv-lm-eval/bin/lm_eval")
_START_SECONDS: Final = 600.0


def lm_eval_command(
    program: Path, url: str, model: str, tokenizer: Path, tasks: str, more: Sequence[str]
) -> list[str]:
    """Return lm-eval's command line for a model that is served at ``url``."""
    options = {
        "model": model,
        "base_url": f"{url}/v1/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": tokenizer,
        "num_concurrent": 1,
        "max_retries": 1,
    }
    return [
        str(program),
        "--model",
        "local-completions",
        "--model_args",
        ",".join(f"{name}={value}" for name, value in options.items()),
        "--batch_size",
        "16",
        "--apply_chat_template",
        "--include_path",
        str(TASKS),
        "--tasks",
        tasks,
        *more,
    ]


@contextmanager
def served(model: str, arguments: Sequence[str]) -> Iterator[str]:
    """Serve a model on a free port of this machine, and end the server afterwards.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    PersonaeError
        If the server ends or does not answer; it says why itself.
    """
    port = free_port()
    command = [sys.executable, "-m", "personae.tools.cli", "serve", model, "--port", str(port)]
    server = subprocess.Popen([*command, *arguments])
    try:
        url = f"http://127.0.0.1:{port}"
        await_server(server, url)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def free_port() -> int:
    """Return a TCP port of this machine that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def await_server(server: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a model server answers.

    Raises
    ------
    PersonaeError
        If it ends, or does not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise PersonaeError(f"the model server ended with status {server.returncode}")
        try:
            if httpx.get(f"{url}/v1/models", timeout=5.0).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise PersonaeError(f"the model server did not answer at {url} in {_START_SECONDS:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tasks, and return lm-eval's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", help="as served: smollm2_135m, or smollm2_135m+cap20-24p25")
    parser.add_argument("--study", help="study whose vectors and floors the model's name uses")
    parser.add_argument("--tasks", default="personae_choices,personae_exact")
    chosen, more = parser.parse_known_args(arguments)
    if not PROGRAM.is_file():
        print(f"{PROGRAM} is missing; run it through `make lm-eval`", file=sys.stderr)
        return 1
    name = chosen.model.partition("+")[0]
    tokenizer = Path("results/models") / name / "weights"
    study = ["--study", chosen.study] if chosen.study else []
    try:
        with served(name, study) as url:
            command = lm_eval_command(PROGRAM, url, chosen.model, tokenizer, chosen.tasks, more)
            return subprocess.call(command, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"})
    except PersonaeError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
