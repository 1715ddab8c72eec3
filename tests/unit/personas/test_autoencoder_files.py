"""Files of sparse autoencoders in the layouts in use, and names of their features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from personae.base.errors import PersonaeError
from personae.personas.published.autoencoder_files import read_autoencoder, read_feature_names

HIDDEN, N = 6, 10
RNG = np.random.default_rng(0)
WEIGHTS = {
    "W_enc": RNG.normal(size=(HIDDEN, N)).astype(np.float32),
    "W_dec": RNG.normal(size=(N, HIDDEN)).astype(np.float32),
    "b_enc": RNG.normal(size=N).astype(np.float32),
    "b_dec": RNG.normal(size=HIDDEN).astype(np.float32),
}


def test_gemma_scope_is_jumprelu_and_does_not_centre(tmp_path: Path) -> None:
    path = tmp_path / "params.npz"
    np.savez(path, **WEIGHTS, threshold=np.full(N, 0.25, np.float32))
    found = read_autoencoder(path, HIDDEN)
    assert (found.activation, found.centred) == ("jumprelu", False)
    assert found.threshold == pytest.approx(0.25)
    stream = RNG.normal(size=(3, HIDDEN)).astype(np.float32)
    raw = stream @ WEIGHTS["W_enc"] + WEIGHTS["b_enc"]
    assert found.encode(stream) == pytest.approx(np.where(raw > 0.25, raw, 0.0), abs=1e-5)


def test_sae_lens_is_relu_and_its_config_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "sae_weights.safetensors"
    save_file(WEIGHTS, path)
    assert read_autoencoder(path, HIDDEN).centred
    config = {"architecture": "standard", "apply_b_dec_to_input": False}
    (tmp_path / "cfg.json").write_text(json.dumps(config), "utf-8")
    found = read_autoencoder(path, HIDDEN)
    assert (found.activation, found.centred) == ("relu", False)


def test_an_encoder_stored_the_other_way_round_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "sae.safetensors"
    turned = {
        "encoder.weight": np.ascontiguousarray(WEIGHTS["W_enc"].T),
        "encoder.bias": WEIGHTS["b_enc"],
        "W_dec": WEIGHTS["W_dec"],
        "b_dec": WEIGHTS["b_dec"],
    }
    save_file(turned, path)
    (tmp_path / "cfg.json").write_text('{"k": 2}', "utf-8")
    found = read_autoencoder(path, HIDDEN)
    assert (found.activation, found.k) == ("topk", 2)
    assert (found.encoder == WEIGHTS["W_enc"]).all()
    assert (found.encode(np.ones((4, HIDDEN))) > 0).sum(axis=1).max() <= 2


@pytest.mark.parametrize(
    ("drop", "hidden", "kind", "problem"),
    [
        ("W_dec", HIDDEN, "auto", "no W_dec or decoder.weight among"),
        ("", HIDDEN + 1, "auto", "does not fit a residual stream of 7"),
        ("", HIDDEN, "jumprelu", "no threshold in the file"),
        ("", HIDDEN, "topk", "k is unknown; give k"),
    ],
)
def test_what_is_no_autoencoder_of_the_model_is_refused(
    tmp_path: Path, drop: str, hidden: int, kind: str, problem: str
) -> None:
    path = tmp_path / "sae.npz"
    np.savez(path, **{name: value for name, value in WEIGHTS.items() if name != drop})
    with pytest.raises(PersonaeError, match=problem):
        read_autoencoder(path, hidden, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sae.npz", "sae.safetensors", "sae.bin"])
def test_a_damaged_or_unknown_file_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(PersonaeError, match=name) as caught:
        read_autoencoder(tmp_path / name, HIDDEN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "index,name\n3,ships\n4,poems\n"),
        ("b.csv", "feature,description\n3,ships\n4,poems\n"),
        ("c.json", '{"3": "ships", "4": "poems"}'),
        (
            "d.json",
            '[{"index": 3, "description": "ships"}, {"index": "4", "description": "poems"}]',
        ),
    ],
)
def test_names_are_read_from_csv_and_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert read_feature_names(tmp_path / name, name) == {3: "ships", 4: "poems"}


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(PersonaeError, match=r"names\.csv: no names of features"):
        read_feature_names(tmp_path / "names.csv", "names.csv")
