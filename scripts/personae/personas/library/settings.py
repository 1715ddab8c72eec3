"""Section of a study: paths of the persona library."""

from pydantic import Field

from personae.base.field_types import Strict
from personae.personas.library.import_source import ImportSource


class LibrarySection(Strict):
    """Paths of the persona library, relative to the project root."""

    roles: str = Field(
        default="config/roles", description="Folder with one file of roles per category."
    )
    default_role: str = Field(
        default="config/roles/default.yaml",
        description="The default Assistant and its neutral system prompts.",
    )
    traits: str = Field(default="config/traits", description="Folder with one file per trait.")
    trait_space: str = Field(
        default="config/trait_space",
        description="Folder with templates.yaml and one file of short traits per category.",
    )
    questions: str = Field(
        default="config/questions",
        description="Folder with the extraction, held-out, introspective and closed questions, and "
        "the harm probes.",
    )
    conversations: str = Field(
        default="config/conversations",
        description="Folder with drift/ and case_studies/ (transcripts), jailbreak/ (user turns to "
        "replay), domains/ (simulated users) and auditor.yaml (the auditor's prompt).",
    )
    finetuning: str = Field(
        default="config/finetuning",
        description="Folder with one file of training data per trait: prompts, each answered with "
        "none, a little and much of the trait.",
    )
    judging: str = Field(
        default="config/judging",
        description="Folder with labelled/ (calibrates and evaluates judges).",
    )
    imports: list[ImportSource] = Field(
        default=[], description="External sets to import into the library."
    )
