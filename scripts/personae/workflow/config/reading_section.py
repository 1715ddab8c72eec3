"""Section of a study: reading of trait vectors as tokens and as features."""

import re
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from personae.base.field_types import Count, Layer, Slug, Strict
from personae.personas.published.autoencoder_files import Kind

_HUB: Final = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}/.+")


class AutoencoderSource(Strict):
    """A sparse autoencoder of the residual stream of one model."""

    name: Slug = Field(description="Name in tables and paths of results.")
    model: Slug = Field(description="Model of the study that it was trained on.")
    layer: Layer = Field(description="Its layer: the residual stream after this block, from 0.")
    path: str | None = Field(
        default=None,
        description="A .npz or .safetensors file, relative to the project root. A cfg.json beside "
        "it may name architecture and k.",
    )
    hub: str | None = Field(
        default=None,
        description="In place of a path: repository@commit/file on the Hugging Face hub, such as "
        "google/gemma-scope-2b-pt-res@<commit>/layer_12/width_16k/average_l0_82/params.npz.",
    )
    kind: Kind = Field(default="auto", description="Nonlinearity; auto reads it from the files.")
    k: Count | None = Field(default=None, description="Features that a top-k autoencoder keeps.")
    names: str | None = Field(
        default=None, description="CSV or JSON file with names of features, by index."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is not None and not _HUB.fullmatch(self.hub):
            raise ValueError(f"hub: {self.hub!r} is not repository@commit/file with a full commit")
        return self

    def file(self, base: Path) -> Path | None:
        """Return the local file; None for one on the hub."""
        return None if self.path is None else base / self.path


class ReadingSection(Strict):
    """Interpretation of trait vectors: logit lens and sparse-autoencoder features."""

    tokens: Count | None = Field(
        default=10, description="Tokens per direction and side; null reads no tokens."
    )
    features: Count = Field(default=10, description="Features per vector, way and side.")
    autoencoders: list[AutoencoderSource] = Field(
        default=[], description="Sparse autoencoders to read trait vectors with."
    )
