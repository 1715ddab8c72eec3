"""Section of a study: one entry of ``library.imports``."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from personae.base.field_types import Slug, Strict

ImportedPart = Literal[
    "roles", "default", "traits", "extraction", "heldout", "drift", "case_studies", "harm_probes"
]
Format = Literal[
    "assistant_axis_roles",
    "assistant_axis_default",
    "assistant_axis_traits",
    "assistant_axis_questions",
    "assistant_axis_transcripts",
    "persona_vectors_traits",
    "sharegpt",
    "harm_table",
]
Unfit = Literal["system", "unanswered", "repeated_speaker", "tools", "empty", "malformed"]
UnfitPolicy = Literal["keep", "skip", "refuse"]
_KEEPABLE: Final = ("system", "unanswered", "repeated_speaker")
_ADDS_TO: Final[dict[str, ImportedPart]] = {
    "assistant_axis_roles": "roles",
    "assistant_axis_default": "default",
    "assistant_axis_traits": "traits",
    "assistant_axis_questions": "extraction",
    "assistant_axis_transcripts": "drift",
    "persona_vectors_traits": "traits",
    "sharegpt": "drift",
    "harm_table": "harm_probes",
}
_CHOICES: Final[dict[str, tuple[ImportedPart, ...]]] = {
    "assistant_axis_questions": ("extraction", "heldout"),
    "assistant_axis_transcripts": ("drift", "case_studies"),
    "sharegpt": ("drift", "case_studies"),
}


class HarmColumns(Strict):
    """Columns of a table of harmful requests."""

    text: str = Field(description="Column with the request, such as Goal or Behavior.")
    context: str | None = Field(
        default="ContextString",
        description="Column with a text that the request is about, put before it as HarmBench "
        "does; rows without one, and tables without the column, have the request alone.",
    )
    category: str | None = Field(default=None, description="Column with the kind of harm.")
    id: str | None = Field(default=None, description="Column with a unique name; null counts rows.")


class ImportSource(Strict):
    """A set of personas, questions, conversations or probes in an external format."""

    format: Format = Field(description="Format of the files.")
    path: str = Field(description="File or folder, relative to the project root.")
    into: ImportedPart | None = Field(
        default=None,
        description="Part of the library to add to, where the format allows a choice: "
        "extraction or heldout for questions, drift or case_studies for conversations.",
    )
    prefix: Annotated[str, StringConstraints(pattern="^[a-z0-9_]*$")] = Field(
        default="", description="Prefix of every name, to avoid clashes with the library's names."
    )
    category: Slug = Field(
        default="imported", description="Category, topic or domain of records that have none."
    )
    kind: Literal["calm", "drifting"] = Field(
        default="drifting", description="Kind of the conversations."
    )
    unfit: dict[Unfit, UnfitPolicy] = Field(
        default={},
        description="Policy for sharegpt conversations that do not fit a transcript, by kind: "
        "system (a system turn; keep drops the turn), unanswered (the last turn is the user's; "
        "keep drops it), repeated_speaker (keep joins the turns), tools, empty, malformed. skip, "
        "the default, counts and lists them; refuse stops at the first.",
    )
    columns: HarmColumns | None = Field(
        default=None, description="Columns of a harm_table, which needs them."
    )
    replace: bool = Field(
        default=False,
        description="true: replace the library's records of this part; false: add to them.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        choices = _CHOICES.get(self.format, (_ADDS_TO[self.format],))
        if self.into is not None and self.into not in choices:
            known = ", ".join(choices)
            raise ValueError(f"into: {self.format} adds to {known}, not to {self.into!r}")
        if (self.columns is None) == (self.format == "harm_table"):
            raise ValueError("columns: required for harm_table and allowed only there")
        for kind, policy in self.unfit.items():
            if policy == "keep" and kind not in _KEEPABLE:
                raise ValueError(f"unfit.{kind}: cannot be kept; write skip or refuse")
        return self

    @property
    def part(self) -> ImportedPart:
        """Part of the library to which the source adds."""
        return self.into or _ADDS_TO[self.format]
