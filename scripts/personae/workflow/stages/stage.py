"""The declaration of a stage: one rule with its script, and its properties.

Imports the standard library only: Snakemake reads the Slurm profile, which needs the groups, before
it reads anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from personae.workflow.config import Study
    from personae.workflow.estimate.node_work import NodeWork, WorkCounter

    CountWork = Callable[[WorkCounter, Mapping[str, str]], NodeWork | None]
    """Counts the work of the node with these wildcards; None if it asks nobody in this study."""

Per = Literal[
    "study", "weights", "model", "imported model", "role", "played role", "trait",
    "trait side", "role part", "trait part", "adapter", "trained trait", "corpus", "autoencoder",
    "drafted trait",
]  # fmt: skip
"""The unit for which a stage has one node.

``weights`` is every model in use, whatever the study. A ``role`` may be the default Assistant, a
``played role`` may not. A ``trait`` is one of the study's own; a ``trait side`` (a trait and a
polarity) may be one of the trait space's as well. The parts are those of
`personae.workflow.stages.persona_parts`: of the roles, and of the trait space.
An ``adapter``, a ``trained trait`` and a ``corpus`` are those of
`personae.workflow.config.training_plan`, an ``autoencoder`` is one of ``reading.autoencoders``.
A ``drafted trait`` is one that the study describes and the library lacks, whatever the model.
"""

Runs = Literal["tables", "model", "judge", "reading", "training"]
"""What a node needs: tables alone; the model; judges, which may need the model; or activations of
rollouts, which the model has to read where the study does not keep them. In ``training``
a node loads a model of its own.
"""


@dataclass(frozen=True)
class Output:
    """One output of a stage.

    Attributes
    ----------
    kind
        Kind of table, as in `personae.data.schemas`; or ``figure``, ``page``, ``weights``,
        ``manifest`` or ``trait`` (a file of the library).
    scorecard, report
        Names under which the scorecard and the report read it; empty when they do not.
    arm_target
        Whether it is one of the tables that ``snakemake <arm>`` asks for.
    study_target
        Whether a finished study has it: if it is deleted, it is made again.
    counted_as
        For responses: the words under which the report counts them; empty when it does not.
    """

    kind: str
    scorecard: str = ""
    report: str = ""
    arm_target: bool = False
    study_target: bool = False
    counted_as: str = ""


@dataclass(frozen=True)
class Stage:
    """One rule with its script.

    Attributes
    ----------
    rule
        Name of the rule and of its script.
    arm
        Rule file and folder of scripts that it is in, one of `ARMS`.
    title
        Name in the report.
    per
        What it has one node for.
    writes
        Its outputs, by their names in the rule; a single one without a name is ``""``.
    reads
        Inputs that are tables, by their names in the rule, with their kinds.
    runs
        What its nodes need.
    work
        Counts the work of a node for the estimate; None if it needs neither a model nor a judge.
    group
        Nodes of a model that share a batch job; empty for a separate batch job.
    group_without_model
        The same where no judge asks the model, so that judging takes no GPU; ``group`` if empty.
    group_reading
        The same where the model has to read the rollouts that its nodes need activations of.
    score_summary
        For a stage that judges ``reads["responses"]``: their name in the score summary.
    section
        For a figure: its heading in the report.
    completes_persona
        Whether its nodes are the last of a persona, which the progress line counts.
    only_if
        Which studies have the stage; None for all.
    """

    rule: str
    arm: str
    title: str
    per: Per
    writes: Mapping[str, Output]
    reads: Mapping[str, str] = field(default_factory=dict)
    runs: Runs = "tables"
    work: CountWork | None = None
    group: str = ""
    group_without_model: str = ""
    group_reading: str = ""
    score_summary: str = ""
    section: str = ""
    completes_persona: bool = False
    only_if: Callable[[Study], bool] | None = None

    @property
    def script(self) -> str:
        """Path of the script below ``scripts/``, without its ending."""
        return f"{self.arm}/{self.rule}"

    def group_of(self, needs_model: bool, reads: bool = False) -> str:
        """Return the group of its nodes.

        Parameters
        ----------
        needs_model
            Whether a judge needs the model.
        reads
            Whether the model has to read what nodes need activations of.
        """
        if reads and self.runs == "reading":
            return self.group_reading or self.group
        return self.group if needs_model else self.group_without_model or self.group

    def needs_model(self, study: Study) -> bool:
        """Tell whether its nodes ask a model in this study."""
        return self.runs in study.model_work


def single(kind: str, **uses: str | bool) -> dict[str, Output]:
    """Return the outputs of a stage that has one, without a name."""
    return {"": Output(kind, **uses)}  # type: ignore[arg-type]
