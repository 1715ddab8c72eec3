"""What surrounds the work of every node: its log, the check of its inputs, errors as one line."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from personae.base.atomic_files import explained, is_full, no_room
from personae.base.errors import PersonaeError
from personae.data.damaged_table import DamagedTableError
from personae.data.integrity import set_aside
from personae.endpoints.keys import Scrubber, scrub
from personae.workflow.input_checks import check_inputs
from personae.workflow.node_usage import NodeUsage

LOG = logging.getLogger("personae")


@contextmanager
def node_frame(snakemake: Any) -> Iterator[None]:
    """Log a node's work, check its inputs, and report every error as one line, with status 1."""
    with _log_file(snakemake):
        try:
            check_inputs([str(path) for path in snakemake.input])
            yield
            LOG.info("done: %s", NodeUsage.now().line())
        except DamagedTableError as error:
            if str(error.path) in map(str, snakemake.input):
                set_aside(error.path)
                _fail(snakemake, f"{error.problem}; it was set aside; run again to recreate it")
            _fail(snakemake, str(error))
        except PersonaeError as error:
            _fail(snakemake, str(error))
        except KeyboardInterrupt:
            _fail(snakemake, "interrupted by Ctrl-C; run the same command again to continue")
        except OSError as error:
            LOG.error("%s", traceback.format_exc())
            full = is_full(error) and no_room(Path(snakemake.output[0]), error)
            _fail(snakemake, full or f"{type(error).__name__}: {error}")
        except Exception as error:  # unforeseen: the log gets the traceback, the console one line
            LOG.error("%s", traceback.format_exc())
            _fail(snakemake, f"{type(error).__name__}: {error}")


@contextmanager
def _log_file(snakemake: Any) -> Iterator[None]:
    """Write the node's log; if the disk is full, log lines are lost but no result."""
    path = Path(snakemake.log[0])
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    logging.raiseExceptions = False
    handler.setFormatter(Scrubber("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.info("%s %s", snakemake.rule, " ".join(f"{k}={v}" for k, v in snakemake.wildcards.items()))
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()


def _fail(snakemake: Any, message: str) -> None:
    """Write ``message`` to the log and the console, and exit with status 1."""
    line = scrub(" ".join(message.split()))
    LOG.error("%s", line)
    print(f"{snakemake.rule}: {line} (log: {snakemake.log[0]})", file=sys.stderr)
    raise SystemExit(1)
