"""Model names that say what is done to the model, and projections of what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from personae.api.requests import EngineSpec, Intervention
from personae.base.errors import PersonaeError
from personae.data import tables
from personae.inference.engine_errors import RequestError, UnknownModelError
from personae.inference.server.app import create_app
from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading
from personae.inference.server.presets import Presets, Reading
from personae.inference.server.study_presets import study_presets

from .stand_in import HIDDEN, LAYERS, StandIn

ONES = np.ones(HIDDEN, np.float32)


def cap_of(band: str, percentile: float) -> list[Intervention]:
    return [Intervention(op="cap", layer=1, vector="axis@1", floor=percentile)]


@pytest.fixture
def presets() -> Presets:
    return Presets(
        {"poetic@2": 2 * ONES, "axis@1": ONES},
        ["plain", "poetic@2x1.5"],
        "cap0-1p25",
        {"axis": Reading(1, ONES / 2, threshold=3.0)},
        cap_of,
    )


@pytest.fixture
def client(presets: Presets, tmp_path: Path) -> Iterator[openai.OpenAI]:
    spec = EngineSpec(model=str(tmp_path / "model"))
    app = create_app(Loading(lambda report: StandIn(spec)), Device(), "small", presets)
    with TestClient(app, raise_server_exceptions=False) as http:
        while http.get("/health").json()["state"] != "ready":
            pass
        base = "http://testserver/v1"
        yield openai.OpenAI(api_key="none", base_url=base, http_client=http, max_retries=0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", []),
        ("plain", []),
        ("poetic@2x-1.5", [("add", "poetic@2", 2, -1.5)]),
        ("cap0-1p25+poetic@2x1", [("cap", "axis@1", 1, 1.0), ("add", "poetic@2", 2, 1.0)]),
    ],
)
def test_settings_are_interventions(
    presets: Presets, settings: str, expected: list[tuple[str, str, int, float]]
) -> None:
    found = presets.interventions(settings)
    assert [(one.op, one.vector, one.layer, one.coefficient) for one in found] == expected


@pytest.mark.parametrize("settings", ["poetic@1x2", "rude@2x1", "poetic", "cap20p1", "plain+no"])
def test_a_setting_that_is_not_known_is_named(presets: Presets, settings: str) -> None:
    with pytest.raises(UnknownModelError, match=settings.rpartition("+")[2]):
        presets.interventions(settings)


def test_vectors_of_the_study_need_not_be_sent(presets: Presets) -> None:
    steer = presets.interventions("poetic@2x1")
    assert list(presets.packed(steer, {"mine": "AACAPw=="})) == ["mine", "poetic@2"]
    with pytest.raises(RequestError, match="no vector 'odd'"):
        presets.packed([Intervention(op="add", layer=0, vector="odd")], {})


def said(client: openai.OpenAI, model: str, **more: object) -> str:
    """Return the interventions that reach the engine."""
    messages = [{"role": "user", "content": "interventions"}]
    answer = client.chat.completions.create(model=model, messages=messages, extra_body=more)
    return str(answer.choices[0].message.content)


def test_a_models_name_chooses_its_interventions(client: openai.OpenAI) -> None:
    assert said(client, "small") == "cap axis@1 1"
    assert said(client, "small+plain") == "none"
    assert said(client, "small+poetic@2x3") == "add poetic@2 2"
    with pytest.raises(openai.NotFoundError, match="rude@2x1"):
        said(client, "small+rude@2x1")


def test_a_request_changes_the_servers_default(client: openai.OpenAI) -> None:
    assert said(client, "small", interventions=[]) == "none"
    own = [{"op": "ablate", "layer": 0, "vector": "axis@1"}]
    assert said(client, "small", interventions=own) == "ablate axis@1 0"


def test_presets_are_listed_as_models(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == ["small", "model", "small+plain", "small+poetic@2x1.5", "stand-in-embedder"]


def test_answers_are_projected(client: openai.OpenAI) -> None:
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    found = client.post("/projections", body={"messages": talk, "per_token": True}, cast_to=object)
    assert isinstance(found, dict)
    assert found["directions"] == {"axis": {"layer": 1, "threshold": 3.0}}
    # The stand-in's stream at layer 1 is all ones: <h, u> = 4 * 0.5.
    assert found["turns"] == [
        {"mean": {"axis": 2.0}, "tokens": ["yes"], "by_token": {"axis": [2.0]}}
    ]
    with pytest.raises(openai.BadRequestError, match="no assistant turn"):
        client.post("/projections", body={"messages": talk[:1]}, cast_to=object)


def write_results(folder: Path) -> None:
    """Write results of a study: an axis, floors, a trade-off, a trait and its steering."""
    made = {"rule": "test"}
    layers = range(LAYERS)
    axis = [
        {"direction": "axis", "layer": layer, "vector": (3 * ONES).tobytes()} for layer in layers
    ]
    vectors = [
        {"trait": "poetic", "variant": "response_mean", "layer": layer, "vector": ONES.tobytes()}
        for layer in layers
    ]
    for rows, kind, place in (
        (axis, "directions", "axis/directions"), (vectors, "trait_vectors", "traits/poetic/vectors")
    ):  # fmt: skip
        table = tables.from_rows(rows, kind)
        width = table["vector"].cast(tables.pa.binary(4 * HIDDEN))
        column = table.schema.get_field_index("vector")
        table = table.set_column(column, "vector", width)
        tables.write(table, folder / f"{place}.parquet", kind, made)
    origin = {"direction": "axis", "pool": "roles", "reading": "ceiling"}
    floors = [
        {**origin, "percentile": p, "layer": layer, "floor": p + layer}
        for p in (1.0, 25.0)
        for layer in layers
    ]
    tables.write(
        tables.from_rows(floors, "floors"), folder / "capping/floors.parquet", "floors", made
    )
    arms = [{**origin, "band": "1-2", "percentile": p, "judge": "j"} for p in (1.0, 25.0)]
    tables.write(
        tables.from_rows(arms, "capping_tradeoff"),
        folder / "capping/tradeoff.parquet", "capping_tradeoff", made,
    )  # fmt: skip
    effects = [
        {"trait": "poetic", "judge": "j", "direction": "trait", "layer": 2, "coefficient": c,
         "rubric": "coherence", "mean": mean}
        for c, mean in ((1.0, 90.0), (2.0, 70.0), (4.0, 20.0))
    ]  # fmt: skip
    tables.write(
        tables.from_rows(effects, "steering_effects"),
        folder / "steering/poetic/alpha_sweep/effects.parquet", "steering_effects", made,
    )  # fmt: skip


def test_a_study_offers_what_it_chose(tmp_path: Path) -> None:
    write_results(tmp_path / "model")
    presets = study_presets(tmp_path / "model", middle_layer=1, default="cap")
    assert presets.offered == ("plain", "cap1-2p25", "cap1-2p1", "poetic@2x2")
    assert presets.default == "cap1-2p25"
    assert [(one.layer, one.floor) for one in presets.interventions("cap1-2p25")] == [
        (1, 26.0), (2, 27.0),
    ]  # fmt: skip
    axis, poetic = presets.readings["axis"], presets.readings["poetic"]
    assert (axis.layer, axis.threshold, poetic.layer, poetic.threshold) == (1, 26.0, 2, None)
    np.testing.assert_allclose(axis.unit, ONES / 2)
    with pytest.raises(UnknownModelError, match="no floor for 'axis-l1-2-p50'"):
        presets.interventions("cap1-2p50")


def test_a_study_without_results_or_with_another_default_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PersonaeError, match="no results; run the study first"):
        study_presets(tmp_path / "nothing", 1)
    write_results(tmp_path / "model")
    with pytest.raises(PersonaeError, match="no setting 'rude@1x1'"):
        study_presets(tmp_path / "model", 1, "rude@1x1")
