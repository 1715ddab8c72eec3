"""A tiny model whose residual stream is moved along a planted direction: sign, layer and size.

What the arms of susceptibility and harm ask of the engine is read back from the stream itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from personae.api.requests import ActivationRow, ActivationsRequest, Intervention, Span
from personae.api.wire_encoding import pack_vector
from personae.data import tables
from personae.data.tables import from_matrix
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.rollouts.axis_steering import axis_arms, unit_vectors
from personae.science.harm_arms import ArmInterventions, HarmArm
from tests.unit.inference.engine.families import load_tiny

LAYER, TOKENS, SPAN = 1, list(range(5, 17)), Span(name="all", start=0, end=12)


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    """A tiny Llama 3 with random weights."""
    return load_tiny("llama3")


@pytest.fixture
def directions(tiny: LoadedModel) -> pa.Table:
    """The axis and a random direction at right angles to it, both of length 2."""
    n_layers, hidden = tiny.model.config.num_hidden_layers, tiny.model.config.hidden_size
    vectors = np.zeros((2, n_layers, hidden), dtype=np.float32)
    vectors[0, :, 0] = vectors[1, :, 1] = 2.0
    layers = pa.array([*range(n_layers)] * 2, pa.int16())
    return pa.table(
        {
            "direction": ["axis"] * n_layers + ["random0"] * n_layers,
            "layer": layers,
            "norm": [2.0] * len(layers),
            "residual_norm": [8.0] * len(layers),
            "vector": from_matrix(vectors.reshape(-1, hidden)),
        }
    )


def stream(
    tiny: LoadedModel,
    interventions: Sequence[Intervention],
    vectors: dict[str, np.ndarray],
) -> np.ndarray:
    """Mean residual stream over all tokens at every layer, ``[layers, hidden]``."""
    row = ActivationRow(
        id="r", token_ids=TOKENS, n_prompt=4, spans=[SPAN], interventions=list(interventions)
    )
    request = ActivationsRequest(
        rows=[row], vectors={name: pack_vector(v) for name, v in vectors.items()}
    )
    (found,) = activations(tiny, request)
    return found.vectors


@pytest.mark.parametrize(("strength", "unit", "size"), [(-2.0, "persona_gap", -4.0),
                                                        (0.5, "residual_norm", 4.0)])  # fmt: skip
def test_steering_moves_the_stream_by_its_size_at_its_layer_alone(
    tiny: LoadedModel, directions: pa.Table, strength: float, unit: str, size: float
) -> None:
    arms = axis_arms(
        directions, layer=LAYER, unit_of_strength=unit, strengths=[strength, 0.0],
        random_directions=1,
    )  # fmt: skip
    vectors = dict(unit_vectors(directions, arms))
    moved = {
        (arm.direction, arm.strength): stream(tiny, [arm.intervention()], vectors) for arm in arms
    }
    plain = moved["axis", 0.0]
    change = moved["axis", strength] - plain
    assert change[LAYER, 0] == pytest.approx(size, abs=1e-4)
    np.testing.assert_allclose(change[LAYER, 1:], 0.0, atol=1e-4)
    np.testing.assert_allclose(change[LAYER - 1], 0.0, atol=1e-6)
    null = moved["random0", strength] - plain
    assert null[LAYER, 0] == pytest.approx(0.0, abs=1e-4)
    assert null[LAYER, 1] == pytest.approx(size, abs=1e-4)


def test_a_cap_raises_and_the_wrong_sign_lowers_every_token(
    tiny: LoadedModel, directions: pa.Table
) -> None:
    plain = stream(tiny, [], {})[LAYER, 0]
    high, low = float(plain + 50), float(plain - 50)
    floors = tables.from_rows(
        [
            {"direction": "axis", "pool": "roles", "reading": reading, "percentile": 25.0}
            | {"layer": LAYER, "floor": floor}
            for reading, floor in (("ceiling", high), ("floor", low))
        ],
        "floors",
    )
    built = ArmInterventions(directions, floors, pool="roles", positions="all", layer=LAYER)
    band = f"{LAYER}-{LAYER}"
    arms = [HarmArm(contrast, band, 25.0, "ceiling") for contrast in ("axis", "wrong_sign")]
    vectors = dict(built.vectors(arms))
    capped, mirrored = (stream(tiny, built.of(arm), vectors)[LAYER, 0] for arm in arms)
    assert capped == pytest.approx(high, abs=1e-3)
    assert mirrored == pytest.approx(low, abs=1e-3)
