"""The HTTP interface of the engine: one route per method of `EngineClient`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from personae.api.arrow_stream import (
    GENERATED,
    MEDIA_TYPE,
    SCORED,
    FrameWriter,
    Progress,
    activations_schema,
    embeddings_schema,
)
from personae.api.requests import (
    ActivationsRequest,
    EmbedRequest,
    EngineInfo,
    GenerateRequest,
    LikelihoodRequest,
    RenderedChat,
    RenderRequest,
)
from personae.data.vector_columns import from_matrix
from personae.inference.client.launch import Health
from personae.inference.result_batches import generated_batch, means_batch, scored_batch
from personae.inference.server import chat_page, openai_api, projections_api
from personae.inference.server.device_queue import Device, Emit
from personae.inference.server.http_errors import (
    STATUS,
    first_problem,
    log_failure,
    one_line,
    status_of,
)
from personae.inference.server.load_state import Loading
from personae.inference.server.presets import Presets
from personae.inference.server.text_route import TextRoute
from personae.inference.server.warm_up import WarmEngine, WarmServer

routes = APIRouter(route_class=TextRoute)


def create_app(
    loading: Loading, device: Device, name: str = "", presets: Presets | None = None
) -> FastAPI:
    """Return the app; it loads the engine as soon as it runs, and answers /health meanwhile.

    Parameters
    ----------
    name
        What the model table calls the model, by which OpenAI's clients may ask for it, too.
    presets
        Interventions that clients may ask for by name; none without them.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        device.submit(loading.run)
        yield

    app = FastAPI(title="personae model server", lifespan=lifespan)
    app.state.warm = WarmEngine(loading, device, name, presets or Presets())
    app.include_router(routes)
    for more in (openai_api.routes, projections_api.routes, chat_page.routes):
        app.include_router(more)
    app.add_exception_handler(RequestValidationError, _refuse_malformed)
    app.add_exception_handler(HTTPException, _refuse)
    for kind in STATUS:
        app.add_exception_handler(kind, _report)
    return app


@routes.get("/health")
async def health(warm: WarmServer) -> Health:
    """Return the state of the load; answered at any time."""
    return warm.loading.health


@routes.get("/info")
async def info(warm: WarmServer) -> EngineInfo:
    """Return the model, device, versions and counters."""
    return warm.loading.engine.info()


@routes.post("/generate")
async def generate(body: GenerateRequest, request: Request, warm: WarmServer) -> Response:
    """Reply with an Arrow stream of `arrow_stream.GENERATED`, one batch per response."""
    engine = warm.loading.engine

    def work(emit: Emit) -> None:
        for result in engine.generate(body, lambda done, total: emit(Progress(done, total))):
            emit(generated_batch(result))

    return await warm.device.stream(request, GENERATED, work)


@routes.post("/activations")
async def activations(body: ActivationsRequest, request: Request, warm: WarmServer) -> Response:
    """Reply with an Arrow stream of span means, one batch per row and span."""
    engine = warm.loading.engine
    info = engine.info()
    schema = activations_schema(info.hidden_size)
    layers = range(info.n_layers) if body.layers is None else body.layers

    def work(emit: Emit) -> None:
        for means in engine.activations(body, lambda done, total: emit(Progress(done, total))):
            emit(means_batch(means, layers, schema))

    return await warm.device.stream(request, schema, work)


@routes.post("/loglikelihood")
async def loglikelihood(body: LikelihoodRequest, request: Request, warm: WarmServer) -> Response:
    """Reply with an Arrow stream of `arrow_stream.SCORED`, one batch per continuation."""
    engine = warm.loading.engine

    def work(emit: Emit) -> None:
        for result in engine.loglikelihood(body, lambda done, total: emit(Progress(done, total))):
            emit(scored_batch(result))

    return await warm.device.stream(request, SCORED, work)


@routes.post("/render")
async def render(body: RenderRequest, request: Request, warm: WarmServer) -> list[RenderedChat]:
    """Reply with token ids and the spans of assistant turns, in order."""
    engine = warm.loading.engine
    return list(await warm.device.run(request, lambda _: engine.render(body)))


@routes.post("/embed")
async def embed(body: EmbedRequest, request: Request, warm: WarmServer) -> Response:
    """Reply with an Arrow stream of embeddings, in order."""
    engine = warm.loading.engine
    vectors = await warm.device.run(request, lambda _: engine.embed(body.texts))
    schema = embeddings_schema(vectors.shape[1])
    writer = FrameWriter(schema)
    frame = writer.write(pa.record_batch([from_matrix(vectors)], schema=schema))
    return Response(frame + writer.close(), media_type=MEDIA_TYPE)


async def _refuse_malformed(_: Request, error: Exception) -> JSONResponse:
    """Return the first error in a request's body as one line."""
    assert isinstance(error, RequestValidationError)
    # FastAPI's locations start with "body".
    problems = [{**problem, "loc": problem["loc"][1:]} for problem in error.errors()]
    return _error(422, "ValidationError", first_problem(problems))


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    """Return the framework's own errors in the form of the others."""
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "RequestError", str(error.detail))


async def _report(request: Request, error: Exception) -> JSONResponse:
    """Return an error as its HTTP status and one line."""
    log_failure(request.url.path, error)
    return _error(status_of(error), type(error).__name__, one_line(error))


def _error(status: int, kind: str, message: str) -> JSONResponse:
    # A lone surrogate of the request, quoted in the message, could not be encoded.
    said = message.encode("utf-8", "backslashreplace").decode("utf-8")
    return JSONResponse({"error": {"type": kind, "message": said}}, status)
