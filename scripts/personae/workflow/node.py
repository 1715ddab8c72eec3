"""Run a node of the DAG: log, errors, provenance and resuming around its ``main``.

A script's ``__main__`` block hands its ``main`` to `run_node` (pure tables) or `run_model_node`
(a client of the model server). Both write a readable log, report every known error as one
line, and exit non-zero on any error.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from personae.base.workflow_owner import ending_with_owner
from personae.workflow.cluster.finished_nodes import FOLDER, KeptOutputs, in_batch_job
from personae.workflow.node_frame import node_frame
from personae.workflow.provenance import collect

if TYPE_CHECKING:
    from personae.api.requests import EngineSpec
    from personae.inference.client.row_cache import KeptRows

LOG = logging.getLogger("personae")


def run_node(snakemake: Any, main: Callable[..., None], **arguments: Any) -> None:
    """Run ``main(**arguments, provenance=...)`` as the node that ``snakemake`` describes.

    Linear algebra uses the threads of the job: by default BLAS would use every core of the machine
    in each of the concurrent jobs.
    """
    with (
        node_frame(snakemake),
        ending_with_owner(LOG.error),
        threadpool_limits(snakemake.threads),
    ):
        main(**arguments, provenance=_provenance(snakemake))


def run_reading_node(snakemake: Any, main: Callable[..., None], **arguments: Any) -> None:
    """Run a node that needs the activations of rollouts.

    A study that keeps them has tables, and ``engine`` is None; otherwise the model reads the
    rollouts anew, and no row of them is kept for a next attempt: together they are what the study
    is not to store.
    """
    if snakemake.input.get("activations"):
        run_node(snakemake, main, engine=None, **arguments)
    else:
        run_model_node(snakemake, main, keeps_rows=False, **arguments)


def run_model_node(
    snakemake: Any, main: Callable[..., None], *, keeps_rows: bool = True, **arguments: Any
) -> None:
    """Like `run_node`, with ``engine``: a client of the warm server of this node's model.

    ``keeps_rows``: should the node not end well, its next attempt asks only for what is missing.
    """
    from personae.inference.client import connect

    with node_frame(snakemake), _kept(snakemake) as restored:
        if restored:
            return
        with connect(_machine(snakemake), LOG) as engine:
            facts = engine.info().model_dump(mode="json")
            rows = _kept_rows(snakemake, facts) if keeps_rows else None
            keeping = engine.keeping(rows) if rows else contextlib.nullcontext()
            with _exits_on_sigterm(), threadpool_limits(snakemake.threads), keeping:
                main(**arguments, engine=engine, provenance=_provenance(snakemake, facts))


def run_training_node(snakemake: Any, main: Callable[..., None], **arguments: Any) -> None:
    """Like `run_node`, with ``machine``: where a model is trained or read in this process.

    Its settings are those of the engine.
    """
    with node_frame(snakemake), ending_with_owner(LOG.error), _kept(snakemake) as restored:
        if not restored:
            main(**arguments, machine=_machine(snakemake), provenance=_provenance(snakemake))


def run_local_model_node(snakemake: Any, main: Callable[..., None], **arguments: Any) -> None:
    """Like `run_training_node`, for models that run in this process, as no server holds them.

    Their rows are stored in ``kept``, so that the next attempt runs only what is missing.
    """
    with node_frame(snakemake), ending_with_owner(LOG.error), _kept(snakemake) as restored:
        if not restored:
            facts = {"machine": _machine(snakemake), "provenance": _provenance(snakemake)}
            with _exits_on_sigterm(), _kept_rows(snakemake) as kept:
                main(**arguments, **facts, kept=kept)


def _machine(snakemake: Any) -> EngineSpec:
    """Return the model of a node that loads it itself, and the settings of the engine."""
    from personae.api.requests import EngineSpec

    return EngineSpec(**snakemake.params.engine, **_runtime(snakemake.config))


def run_judge_node(snakemake: Any, main: Callable[..., None], **arguments: Any) -> None:
    """Like `run_model_node`, but the model is loaded only if a judge needs it.

    Judges behind an endpoint then run in this process, without a GPU, and so does the embedder,
    unless the model's server runs here: its embeddings are the same, and importing torch and
    loading the embedder take four seconds of CPU time. Without an offline judge ``engine`` is None.
    The judges are those of ``snakemake.params.judging``.
    """
    judging = snakemake.params.judging
    names = {judging["primary"], judging["second"], *(j["judge"] for j in judging["sampled"])}
    if "likelihood" in names:
        run_model_node(snakemake, main, **arguments)
        return
    with node_frame(snakemake), _kept(snakemake) as restored:
        if restored:
            return
        embedding = names & {"classifier", "embedding"}
        with _embedder(snakemake) if embedding else contextlib.nullcontext() as engine:
            main(**arguments, engine=engine, provenance=_provenance(snakemake))


@contextmanager
def _embedder(snakemake: Any) -> Iterator[Any]:
    """The engine of offline judges that do not ask the model: its server, or one of this node."""
    from personae.inference.client import connect, is_running
    from personae.judging.local_embedder import EmbedderAlone

    machine = _machine(snakemake)
    if is_running(machine):
        with connect(machine, LOG) as engine:
            yield engine
    else:
        yield EmbedderAlone(Path(snakemake.params.engine["embedder"]))


def judge_arguments(snakemake: Any) -> dict[str, Any]:
    """Return the arguments of every node that scores responses: files and judges."""
    return {
        "responses": snakemake.input.responses,
        "calibration": snakemake.input.calibration,
        "judging": snakemake.params.judging,
        "labelled": snakemake.params.labelled,
        "config": snakemake.config,
        "path_out": snakemake.output[0],
    }


@contextmanager
def _kept(snakemake: Any) -> Iterator[bool]:
    """Yield whether the node's outputs were restored; store those that the block makes.

    This applies to batch jobs only, whose failure deletes the outputs of finished nodes as well.
    """
    if not in_batch_job():
        yield False
        return
    keeper = KeptOutputs(
        Path("results") / snakemake.config["study"],
        rule=snakemake.rule,
        wildcards=dict(snakemake.wildcards),
        params=dict(snakemake.params.items()),
        inputs=[str(path) for path in snakemake.input],
        outputs=[str(path) for path in snakemake.output],
    )
    restored = keeper.restore()
    if restored:
        LOG.info("restored the outputs of an earlier attempt")
    yield restored
    if not restored:
        keeper.keep()


@contextmanager
def _exits_on_sigterm() -> Iterator[None]:
    """Make SIGTERM, by which a batch system ends a job, an exit that keeps received rows."""

    def end(number: int, _frame: object) -> None:
        LOG.error("ended by %s", signal.Signals(number).name)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _kept_rows(snakemake: Any, engine: Mapping[str, Any] | None = None) -> KeptRows:
    """Return the store of this node's rows, which survives a failure, unlike its outputs.

    Prompts, seeds and vectors are part of the requests; code and model are added here. Without
    ``engine`` the requests name the model.
    """
    from personae.inference.client.row_cache import KeptRows

    node = {
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards),
        "code": getattr(snakemake.params, "code", ""),
        "model": engine and [engine["weights_digest"], engine["dtype"], engine["engine"]],
    }
    return KeptRows(Path("results") / snakemake.config["study"] / FOLDER, node)


def _runtime(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the engine settings that change no result and are therefore no params of a node."""
    from personae.workflow.config import EngineSection

    section = EngineSection(**config.get("engine", {}))
    return section.model_dump(exclude={"kind", "dtype"})


def _provenance(snakemake: Any, engine: Mapping[str, Any] | None = None) -> dict[str, str]:
    return collect(
        config=snakemake.config,
        code=getattr(snakemake.params, "code", ""),
        rule=snakemake.rule,
        wildcards=dict(snakemake.wildcards),
        params={key: value for key, value in snakemake.params.items() if key != "code"},
        engine=engine,
        inputs=[str(path) for path in snakemake.input],
        outputs=[str(path) for path in snakemake.output],
    )
