"""Tables of a study of the papers' size, drawn at random: what `scale_bench` runs nodes on.

Real numbers of roles, rollouts and layers, and the model's real width. Activations are drawn for a
few personas only; the others' files are links to theirs, as no node's cost depends on values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import vector_rows

_LEVELS: Final = (0.1, 0.1, 0.2, 0.6)  # shares of the levels of role adherence, 0 to 3
_TOKENS: Final = 16  # a node that reads tables looks only at whether there are any


class ScaleShape(NamedTuple):
    """A model's layers and width, and rollouts: prompts x questions of each split."""

    layers: int
    hidden: int
    prompts: int
    extraction: int
    heldout: int


def _rows(shape: ScaleShape, splits: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return prompt, question and split of every rollout."""
    numbers = {"extraction": shape.extraction, "heldout": shape.heldout}
    return [
        (prompt, f"{split[0]}{question:03d}", split)
        for split in splits
        for prompt in range(shape.prompts)
        for question in range(numbers[split])
    ]


def draw_role(folder: Path, shape: ScaleShape, seed: int) -> dict[str, str]:
    """Write responses, scores and activations of one role; return their files."""
    rows = _rows(shape, ("extraction", "heldout"))
    ids = [f"r{seed}-p{prompt}-{question}" for prompt, question, _ in rows]
    answers = [
        {"response_id": key, "role": "r", "prompt_index": p, "question_id": q, "split": split}
        | {"sample": 0, "seed": 0, "fired": 0, "response": "..."}
        | {"prompt_ids": [1] * _TOKENS, "response_ids": [1] * _TOKENS}
        for key, (p, q, split) in zip(ids, rows, strict=True)
    ]
    levels = np.random.default_rng(seed).choice(
        [0.0, 1.0, 2.0, 3.0], len(ids), p=[0.1, 0.1, 0.2, 0.6]
    )
    scores = _scores(ids, {"role_adherence": levels})
    return _write(folder, seed, answers, "role_responses", scores, shape)


def draw_trait_side(
    folder: Path, shape: ScaleShape, seed: int, *, level: float, samples: int = 1
) -> dict[str, str]:
    """Write responses, scores and activations of one side of a trait; return their files."""
    rows = _rows(shape, ("extraction",))
    keys = [(p, q, sample) for p, q, _ in rows for sample in range(samples)]
    ids = [f"t{seed}-p{prompt}-{question}-s{sample}" for prompt, question, sample in keys]
    answers = [
        {"response_id": key, "trait": "t", "pair": p, "question_id": q, "sample": s}
        | {"seed": 0, "fired": 0, "response": "..."}
        | {"prompt_ids": [1] * _TOKENS, "response_ids": [1] * _TOKENS}
        for key, (p, q, s) in zip(ids, keys, strict=True)
    ]
    levels = np.full(len(ids), level)
    scores = _scores(ids, {"trait": levels, "coherence": np.full(len(ids), 90.0)})
    return _write(folder, seed, answers, "trait_responses", scores, shape)


def _scores(ids: Sequence[str], levels: dict[str, np.ndarray]) -> pa.Table:
    rows = [
        {"response_id": key, "rubric": rubric, "judge": "j", "primary": True, "score": float(score)}
        for rubric, scores in levels.items()
        for key, score in zip(ids, scores, strict=True)
    ]
    return tables.from_rows(rows, "scores")


def _write(
    folder: Path,
    seed: int,
    answers: list[dict[str, object]],
    kind: str,
    scores: pa.Table,
    shape: ScaleShape,
) -> dict[str, str]:
    """Write the three tables of one file of responses."""
    ids = [str(row["response_id"]) for row in answers]
    made = {
        "responses": (tables.from_rows(answers, kind), kind),
        "scores": (scores, "scores"),
        "activations": (draw_activations(ids, shape, seed), "activations"),
    }
    paths = {name: str(folder / f"{ids[0]}-{name}.parquet") for name in made}
    for name, (table, schema) in made.items():
        tables.write(table, paths[name], schema, {})
    return paths


def draw_activations(ids: Sequence[str], shape: ScaleShape, seed: int) -> pa.Table:
    """Response means around a centre of their own, at every layer."""
    rng, n = np.random.default_rng(seed), len(ids)
    parts = []
    for layer in range(shape.layers):
        centre = rng.standard_normal(shape.hidden, dtype=np.float32)
        vectors = centre + rng.standard_normal((n, shape.hidden), dtype=np.float32)
        columns = {
            "response_id": ids,
            "span": ["response_mean"] * n,
            "layer": [layer] * n,
            "n_tokens": [_TOKENS] * n,
            "vector": tables.from_matrix(vectors),
        }
        parts.append(tables.assemble([pa.table(columns)], "activations"))
    return tables.assemble(parts, "activations")


def draw_vectors(path: Path, role: str, shape: ScaleShape, seed: int) -> str:
    """Write a role's vectors of both kinds, or the default's."""
    rng = np.random.default_rng(seed)
    parts = []
    for kind in (DEFAULT,) if role == DEFAULT else ("fully", "somewhat"):
        vectors = rng.standard_normal((shape.layers, shape.hidden))
        n = shape.layers
        columns = {"role": [role] * n, "kind": [kind] * n, "n": [300] * n, "n_unscored": [0] * n}
        parts.append(pa.table({**columns, **vector_rows(vectors, range(n))}))
    tables.write(tables.assemble(parts, "role_vectors"), path, "role_vectors", {})
    return str(path)


def draw_projections(
    path: Path, subjects: dict[str, str], shape: ScaleShape, splits: Sequence[str]
) -> None:
    """Write projections of all rollouts of subjects (to their kinds) on the axis and at random."""
    rng = np.random.default_rng(0)
    parts = []
    for subject, kind in subjects.items():
        rows = _rows(shape, splits)
        ids = [f"{subject}-p{prompt}-{question}" for prompt, question, _ in rows]
        for direction in ("axis", "random0"):
            repeated = np.tile(np.arange(len(rows)), shape.layers)
            columns = {
                "subject": pa.repeat(pa.scalar(subject), len(repeated)),
                "kind": pa.repeat(pa.scalar(kind), len(repeated)),
                "response_id": pa.array(ids).take(pa.array(repeated)),
                "question_id": pa.array([q for _, q, _ in rows]).take(pa.array(repeated)),
                "split": pa.array([split for *_, split in rows]).take(pa.array(repeated)),
                "direction": pa.repeat(pa.scalar(direction), len(repeated)),
                "layer": np.repeat(np.arange(shape.layers, dtype=np.int16), len(rows)),
                "projection": rng.standard_normal(len(repeated)) + (kind == DEFAULT),
            }
            parts.append(pa.table(columns))
    tables.write(tables.assemble(parts, "projections"), path, "projections", {})


def rename(source: str, target: str, traits: Mapping[str, str]) -> None:
    """Copy a table with other names of its traits."""
    kind = tables.kind(source)
    table = tables.read(source, kind)
    names = [traits[name] for name in table["trait"].to_pylist()]
    place = table.column_names.index("trait")
    tables.write(table.set_column(place, table.schema.field("trait"), [names]), target, kind, {})
