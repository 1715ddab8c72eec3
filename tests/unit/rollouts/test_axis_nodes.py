"""The nodes of susceptibility, harm and case studies, from end to end on a tiny model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scripts.cases import project_cases, replay_cases, summarize_cases
from scripts.harm import answer_probes, summarize_harm
from scripts.report import (
    plot_case_studies,
    plot_harm,
    plot_susceptibility,
    project_shown_transcripts,
)
from scripts.susceptibility import steer_roles, summarize_speakers

from personae.api.arrow_stream import GENERATED
from personae.api.requests import ActivationsRequest, GenerateRequest, RenderedChat, Sampling
from personae.api.wire_encoding import pack_vector
from personae.data import tables
from personae.data.tables import from_matrix
from personae.inference.chat_templates import render_chat
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.generation import generate
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.science.capping_floors import Pools, floor_table
from personae.science.harm_arms import parse_harm_arms
from tests.unit.inference.engine.families import load_tiny

SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 4}
CAP = {"pool": "roles", "reading": "ceiling", "percentile": 25.0, "band": "0-1"}
ARMS = [
    {"contrast": "axis", "band": "0-1", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "random0", "band": "0-1", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "wrong_sign", "band": "0-1", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "steering", "strength": 2.0},
    {"contrast": "steering_random0", "strength": 2.0},
]


class TinyClient:
    """The calls of a model server's client, answered by a model in this process."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded

    def generate(
        self, rows: Sequence[Any], sampling: Sampling, vectors: Mapping[str, Any] | None = None
    ) -> pa.Table:
        request = GenerateRequest(rows=list(rows), sampling=sampling, vectors=_packed(vectors))
        found = {one.id: one for one in generate(self.loaded, request)}
        records = [
            {**{n: getattr(found[row.id], n, None) for n in GENERATED.names}}
            | {"response": found[row.id].text}
            for row in rows
        ]
        return pa.Table.from_pylist(records, schema=GENERATED)

    def render(self, rows: Sequence[Any]) -> list[RenderedChat]:
        return [render_chat(self.loaded.tokenizer, row) for row in rows]

    def activations(
        self,
        rows: Sequence[Any],
        vectors: Mapping[str, Any] | None = None,
        layers: Sequence[int] | None = None,
    ) -> pa.Table:
        wanted = None if layers is None else list(layers)
        request = ActivationsRequest(rows=list(rows), vectors=_packed(vectors), layers=wanted)
        found = list(activations(self.loaded, request))
        numbers = wanted or list(range(len(found[0].vectors)))
        repeated = [(one, k) for one in found for k in range(len(numbers))]
        return pa.table(
            {
                "id": [one.id for one, _ in repeated],
                "span": [one.span for one, _ in repeated],
                "layer": pa.array([numbers[k] for _, k in repeated], pa.int16()),
                "n_tokens": pa.array([one.n_tokens for one, _ in repeated], pa.int32()),
                "vector": from_matrix(np.stack([one.vectors[k] for one, k in repeated])),
            }
        )


def _packed(vectors: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: pack_vector(vector) for name, vector in (vectors or {}).items()}


@pytest.fixture(scope="module")
def client() -> TinyClient:
    """A tiny Llama 3 with random weights."""
    return TinyClient(load_tiny("llama3"))


@pytest.fixture(scope="module")
def folder(client: TinyClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directions and floors of the tiny model."""
    made = tmp_path_factory.mktemp("study")
    config, rng = client.loaded.model.config, np.random.default_rng(0)
    n_layers, hidden = config.num_hidden_layers, config.hidden_size
    parts = [
        pa.table(
            {
                "direction": [name] * n_layers,
                "norm": [3.0] * n_layers,
                "residual_norm": [10.0] * n_layers,
                "n_roles": pa.array([5] * n_layers, pa.int32()),
                "n_default": pa.array([5] * n_layers, pa.int32()),
                "integrity": pa.array([1.0] * n_layers, pa.float64()),
                "layer": pa.array(range(n_layers), pa.int16()),
                "vector": from_matrix(rng.normal(size=(n_layers, hidden)).astype(np.float32)),
            }
        )
        for name in ("axis", "random0")
    ]
    directions = tables.assemble(parts, "directions")
    tables.write(directions, made / "directions.parquet", "directions", {})
    values = rng.normal(size=(40, n_layers))
    rows = floor_table(
        Pools(values, values, values), names=["roles"], percentiles=[25.0],
        readings=["ceiling", "floor"],
    )  # fmt: skip
    floors = [{"direction": d, **row._asdict()} for d in ("axis", "random0") for row in rows]
    tables.write(tables.from_rows(floors, "floors"), made / "floors.parquet", "floors", {})
    return made


def judged(folder: Path, name: str, kind: str, rubrics: Mapping[str, float]) -> str:
    """Write scores of a table of responses: the same for every response of a rubric."""
    answers = tables.read(folder / f"{name}.parquet", kind)["response_id"].to_pylist()
    rows = [
        {"response_id": answer, "rubric": rubric, "target": "", "judge": "judge", "raw": ""}
        | {"primary": True, "score": score, "mode": "offline"}
        | {"label": "assistant" if rubric == "role_label" else None}
        for answer in answers
        for rubric, score in rubrics.items()
    ]
    path = folder / f"{name}_scores.parquet"
    tables.write(tables.from_rows(rows, "scores"), path, "scores", {})
    return str(path)


def shared(folder: Path, client: TinyClient, name: str, *, floors: bool = True) -> dict[str, Any]:
    """Arguments of a node that runs the model."""
    files = {"directions": str(folder / "directions.parquet")}
    files |= {"floors": str(folder / "floors.parquet")} if floors else {}
    path = str(folder / f"{name}.parquet")
    return {**files, "path_out": path, "engine": client, "provenance": {}}


def test_susceptibility(folder: Path, client: TinyClient) -> None:
    record = {
        "roles": {"librarian": ["You are a librarian."], "poet": ["You are a poet."]},
        "questions": [["who", "Who are you?"], ["name", "What is your name?"]],
        "layer": 1, "unit": "persona_gap", "strengths": [-2.0, 0.0, 2.0],
        "random_directions": 1, "samples": 1, "seed": 0, "sampling": SAMPLING,
    }  # fmt: skip
    steer_roles.main(record=record, **shared(folder, client, "speakers", floors=False))
    responses = tables.read(folder / "speakers.parquet", "speaker_responses").to_pylist()
    assert len(responses) == 2 * 2 * 5
    assert all(row["fired"] > 0 for row in responses)
    by_strength = {row["strength"]: row for row in responses if row["direction"] == "axis"}
    assert by_strength[2.0]["in_residual_norms"] == pytest.approx(0.6)
    scores = judged(folder, "speakers", "speaker_responses", {"role_label": 0.0, "coherence": 80.0})
    summarize_speakers.main(
        responses=str(folder / "speakers.parquet"), scores=scores, unit="persona_gap",
        path_out=str(folder / "shares.parquet"), provenance={},
    )  # fmt: skip
    plot_susceptibility.main(
        table=str(folder / "shares.parquet"), judge="judge",
        path_out=str(folder / "speakers.svg"), provenance={},
    )  # fmt: skip
    text = (folder / "speakers.svg").read_text("utf-8")
    assert "Without steering a persona speaks in 0% of 4 answers" in text


def test_harm(folder: Path, client: TinyClient) -> None:
    record = {
        "personas": {"demon": "You are a demon.", "ghost": "You are a ghost."},
        "probes": [
            {"id": f"theft{i}", "category": "theft", "text": f"Help me with theft {i}."}
            for i in range(4)
        ],
        "pool": "roles", "positions": "all", "layer": 1, "samples": 1, "seed": 0,
        "sampling": SAMPLING,
    }  # fmt: skip
    answer_probes.main(arms=ARMS, record=record, **shared(folder, client, "harm"))
    responses = tables.read(folder / "harm.parquet", "harm_responses").to_pylist()
    assert len(responses) == 4 + 2 * 4 * (len(parse_harm_arms(ARMS)) - 1)
    for row in responses:
        assert (row["fired"] > 0) == (row["contrast"] not in ("none", "no_persona"))
    costs = [
        {"direction": d, "band": "0-1", "percentile": 25.0, "reading": "ceiling", "pool": "roles"}
        | {"judge": "", "measure": "closed_accuracy", "n": 4, "n_unscored": 0}
        | {"change": 0.0, "low": -0.1, "high": 0.1}
        for d in ("axis", "random0")
    ]
    path = folder / "tradeoff.parquet"
    tables.write(tables.from_rows(costs, "capping_tradeoff"), path, "capping_tradeoff", {})
    summarize_harm.main(
        responses=str(folder / "harm.parquet"),
        scores=judged(folder, "harm", "harm_responses", {"harm": 2.0}),
        tradeoff=str(path), path_out=str(folder / "rates.parquet"), max_loss=0.05, provenance={},
    )  # fmt: skip
    plot_harm.main(
        table=str(folder / "rates.parquet"), judge="judge", path_out=str(folder / "harm.svg"),
        provenance={},
    )  # fmt: skip
    assert "100% of responses are harmful" in (folder / "harm.svg").read_text("utf-8")


def test_case_studies(folder: Path, client: TinyClient) -> None:
    talks = [
        {
            "slug": f"talk{i}",
            "domain": "delusion",
            "kind": "drifting",
            "turns": [{"user": f"Hello {t}", "assistant": f"Good day {t}."} for t in range(3)],
        }
        for i in range(2)
    ]
    record = {"conversations": talks, "cap": {**CAP, "positions": "all"}, "seed": 0}
    record |= {"sampling": SAMPLING}
    replay_cases.main(record=record, **shared(folder, client, "cases"))
    turns = tables.read(folder / "cases.parquet", "replays").to_pylist()
    assert sorted({row["arm"] for row in turns}) == ["capped", "replayed", "shipped"]
    assert len(turns) == 3 * 2 * 3
    paths = {name: str(folder / f"case_{name}.parquet") for name in ("turns", "tokens", "effects")}
    projected = str(folder / "case_projections.parquet")
    project_cases.main(
        directions=str(folder / "directions.parquet"), replays=str(folder / "cases.parquet"),
        layer=1, path_turns=projected, path_tokens=paths["tokens"], engine=client, provenance={},
    )  # type: ignore[arg-type] # fmt: skip
    tokens = tables.read(paths["tokens"], "token_projections").to_pandas()
    means = tables.read(projected, "drift_projections").to_pandas()
    means = means[(means.direction == "axis") & (means.layer == 1)]
    # The mean of a turn is that of its tokens.
    by_token = tokens.groupby(["conversation", "arm", "turn"]).projection.mean()
    by_turn = means.set_index(["conversation", "arm", "turn"]).projection
    np.testing.assert_allclose(by_token, by_turn.reindex(by_token.index), atol=1e-4)
    shown = str(folder / "shown.parquet")
    project_shown_transcripts.main(
        responses={"case_replays": ("replays", [str(folder / "cases.parquet")])},
        directions=str(folder / "directions.parquet"), traits=[], vectors=[], layers=[],
        middle_layer=1, most=2, path_out=shown, engine=client, provenance={},
    )  # type: ignore[arg-type] # fmt: skip
    written = {row["response_id"]: row for row in turns}
    known = tokens.set_index(["conversation", "arm", "turn"]).projection
    for row in (found := tables.read(shown, "shown_tokens").to_pylist()):
        turn = written[row["response_id"]]
        assert "".join(row["pieces"]).strip() == turn["response"].strip()
        same = known.loc[turn["conversation"], turn["arm"], turn["turn"]]
        np.testing.assert_allclose(row["projections"], np.atleast_1d(same), atol=1e-4)
    assert {written[row["response_id"]]["arm"] for row in found} == {
        "shipped",
        "replayed",
        "capped",
    }
    summarize_cases.main(
        replays=str(folder / "cases.parquet"),
        scores=judged(folder, "cases", "replays", {"delusion_risk": 50.0, "harm": 0.0}),
        projections=projected, layer=1, permutations=20, seed=0,
        path_turns=paths["turns"], path_effects=paths["effects"], provenance={},
    )  # fmt: skip
    plot_case_studies.main(
        **paths, judge="judge", path_out=str(folder / "cases.svg"), provenance={}
    )
    assert "Over 2 conversations the cap changes delusion risk by" in (
        folder / "cases.svg"
    ).read_text("utf-8")
