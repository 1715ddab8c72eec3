"""Section of a study: one entry of ``published``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict

SUFFIXES = (".pt", ".safetensors", ".gguf")
_SIGNED = ("axis", "trait", "capping")


class PublishedSource(Strict):
    """Published vectors or a published capping configuration for one model of the study."""

    model: Slug = Field(description="Model of the study that the vectors belong to.")
    kind: Literal["axis", "role", "trait", "capping"] = Field(
        description="An Assistant Axis, mean activations of roles, trait vectors, or a capping "
        "configuration (vectors with thresholds)."
    )
    path: str = Field(
        description="A .pt, .safetensors or .gguf (control vector) file, or a folder of them, "
        "relative to the project root."
    )
    layers: Literal["blocks", "hidden_states"] = Field(
        description="What row 0 of a tensor is: the residual stream after block 0 (blocks), or the "
        "embeddings (hidden_states). For a capping configuration, how it numbers its layers."
    )
    orientation: Literal["toward", "away"] | None = Field(
        default=None,
        description="Direction of the vectors: toward or away from the Assistant (axis, capping) "
        "or the trait (trait). Not allowed for roles.",
    )

    @model_validator(mode="after")
    def _oriented(self) -> Self:
        if (self.kind in _SIGNED) != (self.orientation is not None):
            wanted = "give toward or away" if self.kind in _SIGNED else "remove it: they are means"
            raise ValueError(f"orientation: for vectors of kind {self.kind}, {wanted}")
        return self

    def files(self, base: Path = Path()) -> list[Path]:
        """Return the file, or the files of the folder sorted by name."""
        root = base / self.path
        if root.is_dir():
            return sorted(p for p in root.iterdir() if p.suffix in SUFFIXES)
        return [root]
