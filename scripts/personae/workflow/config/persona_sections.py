"""Sections of a study: sampling, model server, roles, axis, traits and trait space."""

from typing import Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from personae.api.requests import EngineKind, Sampling
from personae.base.field_types import (
    Count,
    Distinct,
    Draws,
    Fraction,
    Layer,
    Names,
    NamesOrNone,
    Samples,
    Score,
    Slug,
    Strict,
    Tokens,
)
from personae.personas.library.records import Text

_YEAR: Final = 365 * 24 * 3600


class RoleSampling(Sampling):
    """Sampling settings; defaults of the Assistant Axis paper."""

    model_config = ConfigDict(strict=True)

    max_new_tokens: Tokens = Field(default=512, description="Maximum tokens of a response.")


class TraitSampling(Sampling):
    """Sampling settings; defaults of the Persona Vectors paper."""

    model_config = ConfigDict(strict=True)

    temperature: FiniteFloat = Field(
        default=1.0, ge=0, description="Divides the logits; 0 is greedy decoding."
    )
    top_p: FiniteFloat = Field(
        default=1.0, gt=0, le=1, description="Keep the fewest tokens that reach this probability."
    )
    max_new_tokens: Tokens = Field(default=1000, description="Maximum tokens of a response.")


class EngineSection(Strict):
    """The model server of all nodes; only `kind` and `dtype` change results beyond rounding."""

    kind: EngineKind = Field(
        default="auto",
        description="vllm, torch, or auto: vllm where there are CUDA and vLLM, else torch.",
    )
    url: str | None = Field(
        default=None, description="Address of a running server to use; null starts one."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto is bfloat16 where the device is fast at it, else float32."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, ...")
    threads: Count | None = Field(default=None, description="CPU threads; null is torch's default.")
    max_batch_tokens: Count | None = Field(
        default=None,
        description="torch: maximum tokens (rows x longest row) of one batch; null is 32768 on a "
        "CPU, and on GPUs what their free memory holds.",
    )
    cuda_graphs: bool = Field(
        default=True,
        description="Replay decoding steps as CUDA graphs on a GPU, where a check passes.",
    )
    idle_seconds: float = Field(
        default=300,
        gt=0,
        le=_YEAR,
        description="Seconds without a request after which a server stops.",
    )
    start_timeout: float = Field(
        default=600,
        gt=0,
        le=_YEAR,
        description="Maximum seconds to wait for the model to load.",
    )


class RoleQuestions(Strict):
    """Number of shared questions per role; null is all of the library."""

    extraction: Count | None = Field(
        default=None, description="Questions on which vectors are extracted."
    )
    heldout: Count | None = Field(
        default=None, description="Held-out questions, on which vectors are evaluated."
    )


class RolesSection(Strict):
    """The roles arm: responses in every role, from which the Assistant Axis is computed."""

    names: Names = Field(
        default="all", description="Roles of the library, or all; the default Assistant is added."
    )
    count: Count | None = Field(
        default=None,
        description="Number of roles, taken in turn from every category; null is all.",
    )
    prompts: Count = Field(default=5, description="Number of system prompts per role.")
    questions: RoleQuestions = Field(
        default=RoleQuestions(), description="Number of questions per role."
    )
    samples: Samples = Field(default=1, description="Responses per system prompt and question.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")
    min_fully: Count = Field(
        default=10,
        description="Minimum number of responses with score 3 for a fully-role vector.",
    )
    min_somewhat: Count = Field(
        default=10,
        description="Minimum number of responses with score 2 for a somewhat-role vector.",
    )


class ActivationsSection(Strict):
    """What is kept on disk of the activations of rollouts."""

    keep: Literal["all", "needed"] = Field(
        default="all",
        description="all: every rollout at every layer, so that new directions and other "
        "thresholds cost no model time. needed: projections, sums and a sample; the model reads "
        "the rollouts again where more is asked for. The estimate has the sizes of both.",
    )
    folds: Count = Field(
        default=10, description="Folds of the extraction questions whose sums are told apart."
    )
    layers: Distinct[Layer] | None = Field(
        default=None,
        description="Layers at which every role rollout is kept in 16 bits, beside the middle "
        "one; null is the edges of the first band of capping.",
    )


class AxisSection(Strict):
    """Persona space: principal components, intervals and nulls."""

    variance_threshold: Fraction = Field(
        default=0.7, description="Share of variance that the counted components must explain."
    )
    bootstrap: Draws = Field(default=1000, ge=100, description="Bootstrap samples per interval.")
    permutations: Draws = Field(default=200, ge=20, description="Label permutations per null.")
    null_rollouts: Draws = Field(
        default=30,
        ge=2,
        description="Rollouts per role, kept in 16 bits, used for the shuffled-label null.",
    )


class TraitQuestions(Strict):
    """Number of a trait's questions to use; null is all."""

    extraction: Count | None = Field(
        default=None, description="Questions on which the vector is extracted."
    )
    evaluation: Count | None = Field(
        default=None, description="Questions on which steering is evaluated."
    )


class TraitSpaceSection(Strict):
    """Many short traits, each made into instruction pairs by templates: they get vectors and
    projections, and are not steered."""

    names: NamesOrNone = Field(
        default="none", description="Traits of the trait space, or all, or none."
    )
    count: Count | None = Field(
        default=None,
        description="Number of traits, taken in turn from every category; null is all.",
    )
    pairs: Count = Field(default=5, description="Number of templates, from the first.")
    questions: Count | None = Field(
        default=None, description="Number of the roles' questions to use; null is all."
    )
    samples: Samples = Field(default=1, description="Responses per instruction and question.")
    sampling: RoleSampling = Field(default=RoleSampling(), description="Sampling settings.")
    min_difference: Score = Field(
        default=50,
        description="A pair of responses is kept when its scores differ by this or more.",
    )
    min_coherence: Score = Field(
        default=0, description="... and whose responses are both at least this coherent."
    )
    min_cells: Count = Field(
        default=10, description="Fewest kept pairs of responses; a trait with fewer is dropped."
    )


class TraitsSection(Strict):
    """The traits arm: contrastive responses, judged and filtered, become trait vectors."""

    names: Names = Field(default="all", description="Traits of the library, or all.")
    described: dict[Slug, Text] = Field(
        default={},
        description="Further traits by name, with a description each. For one without a file in "
        "the library assignments.artifact_writer drafts the file, for you to read and edit; a file "
        "that is there is used as it is.",
    )
    pairs: Count = Field(default=5, description="Number of instruction pairs per trait.")
    questions: TraitQuestions = Field(
        default=TraitQuestions(), description="Number of questions per trait."
    )
    samples: Samples = Field(default=1, description="Responses per instruction and question.")
    sampling: TraitSampling = Field(default=TraitSampling(), description="Sampling settings.")
    spans: Distinct[Literal["response_mean", "prompt_mean", "last_prompt"]] = Field(
        default=["response_mean", "prompt_mean", "last_prompt"],
        description="Tokens over which activations are averaged, a variant of the vector each; "
        "steering uses response_mean.",
    )
    filter: Literal["rows", "cell_means"] = Field(
        default="rows",
        description="What the filter decides on. rows, as the reference code: sample i under the "
        "positive instruction with sample i under the negative one; cell_means: the mean over the "
        "samples of a (pair, question). Without anything kept the trait is dropped.",
    )
    min_trait_score: Score = Field(
        default=50, description="Kept when positive >= this and negative < 100 minus this ..."
    )
    min_coherence: Score = Field(
        default=50, description="... and whose responses are both at least this coherent."
    )
