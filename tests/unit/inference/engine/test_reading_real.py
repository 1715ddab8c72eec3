"""The logit lens on real classes, and a sparse autoencoder trained on the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from personae.inference.torch_engine.logit_lens import token_logits
from personae.inference.torch_engine.model_loading import LoadedModel, load_model
from personae.personas.published.autoencoder_files import read_autoencoder

LAYER, FEATURES, K = 14, 256, 16
TEXTS = {
    "sea": [
        "Ahoy matey, the ship sails the seven seas with rum and treasure.",
        "Arr, hoist the sails, ye scurvy dogs, and steer for the island.",
        "The captain of the pirate ship counted his gold by the mast.",
    ],
    "code": [
        "The function returns a list of integers sorted by their value.",
        "Install the package with pip and import it in your script.",
        "A variable holds a number, a string or a list of objects.",
    ],
}


def test_the_lens_is_the_model_s_own_last_step(family: LoadedModel) -> None:
    """The stream after the last block, read by the lens, gives the model's next tokens."""
    ids = torch.arange(5, 11).unsqueeze(0)
    seen: list[torch.Tensor] = []
    handle = family.blocks[-1].register_forward_hook(
        lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.inference_mode():
        logits = family.model(input_ids=ids).logits[0, -1].float()
    handle.remove()
    read = torch.from_numpy(token_logits(family, seen[0][0, -1:].float().numpy()))[0]
    order = logits.argsort(descending=True)[:3].tolist()
    assert read.argsort(descending=True)[:3].tolist() == order
    assert float(read.mean()) == pytest.approx(0.0, abs=1e-4)


@pytest.fixture(scope="module")
def loaded(embedded: Path) -> LoadedModel:
    return load_model(embedded, "float32", "cpu")


def streams(loaded: LoadedModel, text: str) -> NDArray[np.float32]:
    """Return the residual stream after `LAYER` of every token but the first, ``[n, hidden]``."""
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    seen: list[torch.Tensor] = []
    handle = loaded.blocks[LAYER].register_forward_hook(
        lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.inference_mode():
        loaded.model.get_decoder()(input_ids=ids)
    handle.remove()
    return np.asarray(seen[0][0, 1:].float().numpy())


def trained_autoencoder(data: NDArray[np.float32], path: Path) -> None:
    """Train a top-k autoencoder for some hundred steps and save it as sae-lens does."""
    torch.manual_seed(0)
    x = torch.from_numpy(data)
    bias = x.mean(dim=0).clone().requires_grad_(True)
    decoder = torch.nn.functional.normalize(torch.randn(FEATURES, x.shape[1]), dim=1)
    decoder = decoder.requires_grad_(True)
    encoder = decoder.detach().T.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([bias, decoder, encoder], lr=0.003)
    for _ in range(150):
        raw = torch.relu((x - bias) @ encoder)
        kept, at = raw.topk(K, dim=1)
        features = torch.zeros_like(raw).scatter(1, at, kept)
        loss = (features @ decoder + bias - x).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tensors = {"W_enc": encoder, "W_dec": decoder, "b_dec": bias}
    save_file({name: value.detach().numpy().copy() for name, value in tensors.items()}, path)
    path.with_name("cfg.json").write_text(f'{{"architecture": "topk", "k": {K}}}', "utf-8")


@pytest.mark.full_size
def test_an_autoencoder_trained_on_the_embedded_model_reads_it(
    loaded: LoadedModel, tmp_path: Path
) -> None:
    """It rebuilds the stream better than the mean does, and tells two subjects apart.

    It is small and trained on a few sentences, of which one of each subject is held out: its
    features mean nothing elsewhere.
    """
    held = {name: streams(loaded, texts[-1]) for name, texts in TEXTS.items()}
    known = {
        name: np.concatenate([streams(loaded, text) for text in texts[:-1]])
        for name, texts in TEXTS.items()
    }
    data = np.concatenate(list(known.values()))
    trained_autoencoder(data, tmp_path / "sae.safetensors")
    made = read_autoencoder(tmp_path / "sae.safetensors", loaded.hidden_size)
    assert (made.activation, made.k, made.centred) == ("topk", K, True)
    assert (made.encode(data) > 0).sum(axis=1).max() <= K

    def unexplained(x: NDArray[np.float32]) -> float:
        rebuilt = made.decode(made.encode(x))
        return float(((x - rebuilt) ** 2).sum() / ((x - data.mean(axis=0)) ** 2).sum())

    assert unexplained(data) < 0.3
    assert unexplained(np.concatenate(list(held.values()))) < 0.95
    means = {name: made.encode(x).mean(axis=0) for name, x in known.items()}
    fresh = {name: made.encode(x).mean(axis=0) for name, x in held.items()}
    contrast = means["sea"] - means["code"]
    assert float(contrast @ (fresh["sea"] - fresh["code"])) > 0
