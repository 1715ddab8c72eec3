"""The section `judging` of a study: its judges, limits and budget."""

from typing import Self

from pydantic import Field, model_validator

from personae.base.field_types import Slug, Strict
from personae.endpoints.endpoint_settings import AnswerLimits


class SampledJudge(Strict):
    """A further judge, on a share of the responses."""

    judge: Slug = Field(description="classifier, likelihood, embedding, or an endpoint.")
    share: float = Field(
        gt=0,
        le=1,
        description="Share of the questions, chosen by their texts; all responses to them are "
        "judged.",
    )


class JudgingSection(AnswerLimits):
    """The judges of a study: offline (classifier, likelihood, embedding), or any endpoint."""

    primary: Slug = Field(
        default="classifier",
        description="The judge whose scores decide what is kept: classifier, "
        "likelihood, embedding, or the "
        "name of an endpoint.",
    )
    second: Slug | None = Field(
        default="likelihood",
        description="A second opinion on every response, reported beside it; null for none.",
    )
    sampled: list[SampledJudge] = Field(
        default=[], description="Further judges, each on a share of the responses."
    )
    templates: dict[Slug, str] = Field(
        default={},
        description="Rubric (trait, role_adherence, ...) to the file of a judge's prompt that is "
        "used as it is, with the placeholders {question} and {answer}: the key eval_prompt of a "
        ".json file, else the whole file. {target} in the path stands for the role or trait.",
    )
    bias_checks: bool = Field(
        default=True,
        description="Ask endpoints about the labelled set twice, the second time with the answer "
        "before the rubric, to measure how much the order changes scores.",
    )

    @property
    def names(self) -> list[str]:
        """All judges: primary, second, sampled."""
        second = [] if self.second is None else [self.second]
        return [self.primary, *second, *(other.judge for other in self.sampled)]

    @property
    def other(self) -> str | None:
        """The judge that confirms what the primary one says: the second, or the first sampled."""
        return next(iter(self.names[1:]), None)

    @property
    def shares(self) -> dict[str, float]:
        """All judges with the share of responses that each of them scores."""
        return dict.fromkeys(self.names, 1.0) | {o.judge: o.share for o in self.sampled}

    @property
    def needs_model(self) -> bool:
        """Whether a judge asks the model that is studied, so that judging takes its GPUs."""
        return "likelihood" in self.names

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.second == self.primary:
            raise ValueError(f"second: {self.second!r} is the primary judge; name another or null")
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f"sampled: {name!r} judges already; name another or remove it")
        return self
