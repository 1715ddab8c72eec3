"""The wire types: round trips, refusals, and digests of engine specs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from personae.api.requests import (
    ActivationRow,
    EngineSpec,
    GenerateRequest,
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Message,
    Sampling,
    Span,
)
from personae.api.wire_encoding import pack_vector, unpack_vector


def test_vectors_survive_the_wire_bit_for_bit() -> None:
    vector = np.random.default_rng(0).normal(size=100).astype(np.float32)
    assert (unpack_vector(pack_vector(vector)) == vector).all()
    assert pack_vector(np.array([1.0, -2.0])) == "AACAPwAAAMA="


@pytest.mark.parametrize("text", ["", "not base64!", "AAAA"])
def test_texts_that_are_no_vectors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a vector"):
        unpack_vector(text)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros(0)])
def test_arrays_that_are_no_vectors_are_refused(array: Any) -> None:
    with pytest.raises(ValueError, match="one non-empty dimension"):
        pack_vector(array)


def _row(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "seed": 1, "messages": [{"role": "user", "content": "hi"}], **changes}


def test_a_request_survives_json() -> None:
    add = Intervention(op="add", layer=3, vector="v", coefficient=-0.1, positions="response")
    row = GenerateRow(**_row(interventions=[add]))
    request = GenerateRequest(
        rows=[row], vectors={"v": pack_vector(np.ones(3))}, sampling=Sampling(temperature=0)
    )
    assert GenerateRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"rows": [_row(), _row()]}, "two rows have the id 'a'"),
        (
            {"rows": [_row(interventions=[{"op": "add", "layer": 0, "vector": "w"}])]},
            r"row 'a': no vector 'w', only \[\]",
        ),
        ({"rows": [], "vectors": {"v": "AADAfw=="}}, "not finite"),
        ({"rows": [], "sampling": {"temperature": -1}}, "temperature"),
        ({"rows": [], "sampling": {"top_p": 0}}, "top_p"),
        ({"rows": [], "sampling": {"top_k": 5}}, "top_k"),
        ({"rows": [_row(messages=[])]}, "messages"),
        ({"rows": [_row(seed=-1)]}, "seed"),
    ],
)
def test_generate_requests_that_make_no_sense_are_refused(
    request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        GenerateRequest.model_validate(request_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_prompt": 4}, "row 'a': n_prompt 4 of 3 tokens"),
        ({"spans": [{"name": "r", "start": 1, "end": 4}]}, "span 'r' ends at 4 of 3 tokens"),
        ({"spans": [{"name": "r", "start": 1, "end": 1}]}, r"span 'r' \[1, 1\) holds no token"),
        ({"spans": [{"name": "r", "start": 0, "end": 1}] * 2}, "two spans share a name"),
        ({"spans": []}, "spans"),
    ],
)
def test_activation_rows_that_make_no_sense_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    span = Span(name="r", start=1, end=3)
    values = {"id": "a", "token_ids": [1, 2, 3], "n_prompt": 1, "spans": [span]}
    with pytest.raises(ValidationError, match=message):
        ActivationRow(**{**values, **changes})


@pytest.mark.parametrize(
    "given", [{}, {"messages": [{"role": "user", "content": "x"}], "prompt": "x"}, {"prompt": ""}]
)
def test_a_row_has_messages_or_a_prompt(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="prompt"):
        GenerateRow.model_validate({"id": "a", "seed": 1, **given})


def test_a_prompt_without_a_template_is_followed_by_token_ids() -> None:
    row = {"id": "a", "prompt": "On"}
    assert LikelihoodRow.model_validate({**row, "continuation_ids": [1]}).messages == []
    with pytest.raises(ValidationError, match="needs continuation_ids"):
        LikelihoodRow.model_validate({**row, "continuation": "x"})


@pytest.mark.parametrize(
    "given", [{}, {"continuation": "x", "continuation_ids": [1]}, {"continuation": ""}]
)
def test_a_likelihood_row_has_exactly_one_continuation(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="row 'a': "):
        LikelihoodRow(id="a", messages=[Message(role="user", content="x")], **given)


def test_specs_share_a_server_if_they_name_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = EngineSpec(model="m", embedder="e")
    same = EngineSpec(model=str(tmp_path / "m"), embedder="e", start_timeout=1, url="http://x")
    assert spec.digest() == same.digest()
    for other in ({"dtype": "float32"}, {"threads": 1}, {"model": "n"}, {"embedder": None}):
        assert spec.model_copy(update=other).digest() != spec.digest()


def test_requests_need_no_torch() -> None:
    code = "import sys, personae.api.requests;"
    code += "import personae.inference.weights_manifest, personae.inference.engine_errors; "
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    path = str(Path(__file__).parents[4] / "scripts")
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})
