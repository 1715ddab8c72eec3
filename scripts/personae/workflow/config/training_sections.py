"""Sections of a study: fine-tuning on training data of a trait, and screening of such data."""

from typing import Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from personae.base.field_types import Count, Distinct, NamesOrNone, Samples, Score, Slug, Strict
from personae.personas.library.training_sets import Level
from personae.workflow.config.persona_sections import TraitSampling

Defence = Literal["preventative", "ablation"]


class FinetuningSection(Strict):
    """LoRA fine-tuning on training data of traits (PV, fine-tuning shift)."""

    traits: NamesOrNone = Field(
        default="none",
        description="Traits of the study whose training data are used, or all or none of them.",
    )
    levels: Distinct[Level] = Field(
        default=["normal", "mild", "strong"],
        description="How much of the trait the training answers show; one adapter for each.",
    )
    examples: Count | None = Field(
        default=None, description="Training examples per level, from the first; null is all."
    )
    defences: list[Defence] = Field(
        default=["preventative", "ablation"],
        description="Further adapters, trained on the strongest level while the trait vector is "
        "added to the residual stream (preventative) or projected out of it (ablation).",
    )
    preventative_coefficient: FiniteFloat = Field(
        default=1.0, gt=0, description="Coefficient of the vector in preventative training."
    )
    inference_coefficients: Distinct[FiniteFloat] = Field(
        default=[-0.5, -1.0, -2.0],
        description="Negative coefficients with which the adapter of the strongest level, trained "
        "without defence, is steered afterwards.",
    )
    rank: Count = Field(default=32, description="Rank of the LoRA matrices.")
    lora_alpha: Count = Field(
        default=64, description="LoRA scale; divided by the root of the rank (rsLoRA)."
    )
    learning_rate: FiniteFloat = Field(default=1e-5, gt=0, le=1, description="Peak learning rate.")
    warmup_steps: int = Field(default=5, ge=0, le=100_000, description="Steps of linear warm-up.")
    epochs: Samples = Field(default=1, description="Passes over the training data.")
    batch: Count = Field(default=16, description="Examples per optimiser step.")
    questions: Count = Field(
        default=5,
        description="Evaluation questions per measured trait, not used to choose the layer.",
    )
    samples: Samples = Field(default=1, description="Responses per question.")
    closed_answers: Count | None = Field(
        default=None, description="Closed questions that measure capability; null is all."
    )
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")

    @model_validator(mode="after")
    def _downward(self) -> Self:
        if max(self.inference_coefficients) >= 0:
            raise ValueError(
                f"inference_coefficients {self.inference_coefficients} must all be below 0: they "
                "suppress the trait"
            )
        if len(set(self.defences)) < len(self.defences):
            raise ValueError(f"defences {self.defences} name one twice; keep one of them")
        return self


class ScreenedFile(Strict):
    """Training data of somebody else, to be screened."""

    name: Slug = Field(description="Name in tables and paths of results.")
    path: str = Field(
        description="JSONL file, relative to the project root: one object per line with `prompt` "
        "and `response`, or with `messages`."
    )


class ScreeningSection(Strict):
    """Screening of training data by its projection difference (PV, data screening)."""

    files: list[ScreenedFile] = Field(
        default=[], description="Files to screen beside the training data of `finetuning`."
    )
    own_answers: Samples = Field(
        default=4, description="Answers that the model itself gives to every prompt."
    )
    threshold: Score = Field(
        default=95,
        description="A row is flagged above this percentile of the differences of the normal rows.",
    )
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")
