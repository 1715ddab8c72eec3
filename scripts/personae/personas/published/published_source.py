"""What a study says of vectors that others have published."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict

_SIGNED = ("axis", "trait", "capping")


class PublishedSource(Strict):
    """Vectors or a capping configuration of somebody else, for one model of the study."""

    model: Slug = Field(description="Model of the study whose residual stream they live in.")
    kind: Literal["axis", "role", "trait", "capping"] = Field(
        description="An Assistant Axis, mean activations of roles, trait vectors, or a capping "
        "configuration (vectors with thresholds)."
    )
    path: str = Field(
        description="A .pt or .safetensors file, or a folder of them, relative to the project root."
    )
    layers: Literal["blocks", "hidden_states"] = Field(
        description="What row 0 of a tensor is: the residual stream after block 0, or the "
        "embeddings, as in a list of hidden states. A capping configuration numbers its layers "
        "itself, and this says how."
    )
    orientation: Literal["toward", "away"] | None = Field(
        default=None,
        description="Which way the vectors point: toward the Assistant (axis, capping) or the "
        "trait, or away. Roles have none.",
    )

    @model_validator(mode="after")
    def _oriented(self) -> Self:
        if (self.kind in _SIGNED) != (self.orientation is not None):
            wanted = "toward or away" if self.kind in _SIGNED else "none: they are means"
            raise ValueError(f"orientation: vectors of kind {self.kind} need {wanted}")
        return self

    def files(self, base: Path = Path()) -> list[Path]:
        """Return the file, or the files of the folder by name."""
        root = base / self.path
        if root.is_dir():
            return sorted(p for p in root.iterdir() if p.suffix in (".pt", ".safetensors"))
        return [root]
