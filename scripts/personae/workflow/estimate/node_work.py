"""Count the work of every node of a study from the same records that the node is given.

Token counts of prompts come from their characters, those of responses from the study's limits; both
factors stand in ``config/rates.yaml``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from personae.judging.labelled_set import labelled_items
from personae.workflow import node_params
from personae.workflow.config import Study
from personae.workflow.estimate.rates import Rates
from personae.workflow.stages.persona_parts import role_parts, trait_parts
from personae.workflow.stages.registry import STAGES

_TEMPLATE = 20
"""Tokens that a chat template adds."""

_LIKELIHOOD_PASSES = 2
"""The likelihood judge reads every answer under a positive and under a negative prompt."""


class NodeWork(NamedTuple):
    """The work of one node.

    Attributes
    ----------
    responses
        Responses generated.
    generated, read
        Tokens generated, and tokens read in forward passes without generation.
    verdicts, judge_tokens
        Verdicts asked for, and tokens of prompts to a judge behind an API.
    vectors
        Activation vectors written, each of the model's width, in float32.
    messages, auditor_read, auditor_written
        User messages that an auditor behind an API writes, and its tokens.
    """

    responses: int = 0
    generated: float = 0
    read: float = 0
    verdicts: int = 0
    judge_tokens: float = 0
    vectors: int = 0
    messages: int = 0
    auditor_read: float = 0
    auditor_written: float = 0

    def plus(self, other: NodeWork) -> NodeWork:
        """Return the work of both."""
        mine, more = self._asdict(), other._asdict()
        return NodeWork(**{name: mine[name] + more[name] for name in mine})


class ResponseCount(NamedTuple):
    """Responses of one arm: how many, and mean tokens of prompt and response."""

    number: int
    prompt: float
    response: float


class WorkCounter:
    """Counts the work of the nodes of one model in a study."""

    def __init__(self, study: Study, model: str, rates: Rates) -> None:
        self.study, self.model, self.rates = study, model, rates
        self._layers = study.models[model].n_layers
        # Generating, judging and extracting count the same responses.
        self._role_rows: dict[str, ResponseCount] = {}
        self._side_rows: dict[tuple[str, str], ResponseCount] = {}

    def node(self, rule: str, wildcards: Mapping[str, str]) -> NodeWork | None:
        """Return the work of a node; None for a rule that needs neither a model nor a judge."""
        count = STAGES[rule].work
        return count(self, wildcards) if count else None

    def role(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of a role or of the default Assistant."""
        role = wildcards["role"]
        if role not in self._role_rows:
            record = node_params.role_rollouts(self.study, self.model, role)
            questions = [text for part in record["questions"].values() for _, text in part]
            self._role_rows[role] = self._crossed(record["prompts"], questions, record)
        return self._role_rows[role]

    def trait(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of one polarity of a trait."""
        side = wildcards["trait"], wildcards["polarity"]
        if side not in self._side_rows:
            record = node_params.trait_rollouts(self.study, *side)
            questions = [text for _, text in record["questions"]]
            self._side_rows[side] = self._crossed(record["instructions"], questions, record)
        return self._side_rows[side]

    def layer_sweep(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of a trait's layer sweep."""
        record = node_params.layer_sweep(self.study, self.model, wildcards["trait"])
        steered = sum(c != 0 for c in record["coefficients"])
        return self._steered(1 + steered * len(record["layers"]), record)

    def steering(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of a trait's alpha sweep."""
        record = node_params.steering(self.study, wildcards["trait"])
        steered = sum(c != 0 for c in record["coefficients"])
        return self._steered(1 + steered * (1 + record["random_directions"]), record)

    def monitoring(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of a trait under its graded prompts and after example exchanges."""
        record = node_params.monitoring(self.study, wildcards["trait"])
        talks = [" ".join(map(" ".join, record["examples"][:n])) for n in record["shots"]]
        questions = [text for _, text in record["questions"]]
        return self._crossed([*record["prompts"], *talks], questions, record)

    def selectors(self, wildcards: Mapping[str, str]) -> NodeWork:
        """Return the work of reading some responses of a trait at every candidate layer."""
        section = self.study.config.layer_sweep
        layers = len(self.study.candidate_layers(self.model))
        sides = [
            self.trait({"trait": wildcards["trait"], "polarity": polarity})
            for polarity in ("positive", "negative")
        ]
        rows = [min(side.number, section.selector_responses) for side in sides]
        tokens = [n * (side.prompt + side.response) for n, side in zip(rows, sides, strict=True)]
        return NodeWork(read=(layers + 2) * sum(tokens))

    def compared(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of a trait under all ways of steering."""
        record = node_params.compared_arms(self.study, wildcards["trait"])
        named = [*record["variants"], *record["positions"], *record["arms"]]
        return self._steered(1 + len(named) + record["random_directions"], record)

    def finetuned(self, wildcards: Mapping[str, str]) -> ResponseCount:
        """Responses of the adapters of one trait's training data, steered ones among them."""
        record = node_params.finetuned_answers(self.study, wildcards["trait"])
        asked = record["questions"]
        own = [text for _, text in asked[wildcards["trait"]]]
        texts = [text for questions in asked.values() for _, text in questions]
        plain = self._crossed([""] * (1 + len(record["adapters"])), texts, record)
        steered = self._crossed([""] * len(record["coefficients"]), own, record)
        return plain._replace(number=plain.number + steered.number)

    def train(self, wildcards: Mapping[str, str]) -> NodeWork:
        """Return the work of training: a backward pass costs about two forward passes."""
        record = node_params.training(self.study, wildcards["adapter"])
        rows = record["exchanges"]
        tokens = self._mean([" ".join(row) for row in rows]) + _TEMPLATE
        return NodeWork(read=3 * record["lora"]["epochs"] * len(rows) * tokens)

    def nothing(self) -> NodeWork:
        """Return the work of a node that only loads the model."""
        return NodeWork()

    def read_traits(self) -> NodeWork:
        """Return the work of reading all responses of the study's traits once more."""
        rows = [
            self.trait({"trait": trait, "polarity": polarity})
            for trait in self.study.trait_names
            for polarity in ("positive", "negative")
        ]
        return NodeWork(read=sum(row.number * (row.prompt + row.response) for row in rows))

    def screen(self, wildcards: Mapping[str, str]) -> NodeWork:
        """Return the work of answering prompts, and of reading these and the training answers."""
        record = node_params.screening(self.study, wildcards["corpus"])
        examples = [row for rows in record["datasets"].values() for row in rows]
        prompts = {text for _, text, _ in examples}
        own = self._crossed(list(prompts), [""], record)
        tokens = self._mean([f"{prompt} {answer}" for _, prompt, answer in examples]) + _TEMPLATE
        read = len(examples) * tokens + own.number * (own.prompt + own.response)
        return self.generate(own).plus(NodeWork(read=read))

    def capping(self, _: Mapping[str, str]) -> ResponseCount:
        """Responses of the capping arms, the uncapped one included."""
        record = node_params.capping_rollouts(self.study)
        prompts = [text for texts in record["roles"].values() for text in texts]
        questions = [text for _, text in record["questions"]]
        rows = self._crossed(prompts, questions, {**record, "samples": 1})
        turns = sum(len(item["turns"]) for item in node_params.jailbreaks(self.study))
        return rows._replace(number=self._arms * (rows.number + turns))

    def susceptibility(self, _: Mapping[str, str]) -> ResponseCount:
        """Answers of steered roles; the unsteered arm is one, whatever the directions."""
        record = node_params.susceptibility(self.study, self.model)
        if record is None:
            return ResponseCount(0, 0, 0)
        prompts = [text for texts in record["roles"].values() for text in texts]
        rows = self._crossed(prompts, [text for _, text in record["questions"]], record)
        steered = sum(s != 0 for s in record["strengths"])
        return rows._replace(number=rows.number * (1 + steered * (1 + record["random_directions"])))

    def capability(self, _: Mapping[str, str]) -> ResponseCount:
        """Responses to capability items, the uncapped arm included."""
        items = [item["question"] for item in node_params.capability_items(self.study)]
        arms = 1 + len(node_params.capability_arms(self.study, self.model))
        most = {"max_new_tokens": self.study.config.capability.max_new_tokens}
        return self._crossed([""] * arms, items, {"samples": 1, "sampling": most})

    def harm(self, _: Mapping[str, str]) -> ResponseCount:
        """Responses to harmful requests under every arm, and once without a persona."""
        record = node_params.harm_record(self.study, self.model)
        if record is None:
            return ResponseCount(0, 0, 0)
        texts = [probe["text"] for probe in record["probes"]]
        rows = self._crossed(list(record["personas"].values()), texts, record)
        arms = 1 + len(node_params.harm_arms(self.study, self.model))
        return rows._replace(number=rows.number * arms + len(texts) * record["samples"])

    def harm_link(self, _: Mapping[str, str]) -> ResponseCount:
        """Responses to harmful requests, each with a first turn in a role in view."""
        record = node_params.harm_link(self.study)
        if record is None:
            return ResponseCount(0, 0, 0)
        roles = [self.role({"role": role}) for role in record["roles"]]
        turns = len(roles) * record["prompts"] * len(record["questions"])
        turns *= self.study.config.roles.samples
        before = sum(role.prompt + role.response for role in roles) / len(roles)
        probe = self._mean([probe["text"] for probe in record["probes"]])
        response = self._response(record["sampling"])
        return ResponseCount(turns * len(record["probes"]), before + probe, response)

    def cases(self, _: Mapping[str, str]) -> ResponseCount:
        """Turns of case studies, capped and not, each with all turns before it in view."""
        record = node_params.case_record(self.study, self.model)
        if record is None:
            return ResponseCount(0, 0, 0)
        turns = sum(len(talk["turns"]) for talk in record["conversations"])
        response = self._response(record["sampling"])
        middle = turns / max(1, len(record["conversations"])) / 2
        return ResponseCount(2 * turns, middle * (response + 50), response)

    def replays(self, _: Mapping[str, str]) -> ResponseCount:
        """Replayed turns, capped and not; each is answered with all turns before it in view."""
        talks = node_params.drift_conversations(self.study)
        turns = sum(len(talk["turns"]) for talk in talks)
        response = self._response(self.study.config.drift.sampling.model_dump())
        middle = turns / max(1, len(talks)) / 2
        return ResponseCount(2 * turns, middle * (response + 50), response)

    def simulated(self, _: Mapping[str, str]) -> ResponseCount:
        """Turns of simulated conversations, each answered with all before it in view."""
        if (section := self.study.simulated) is None:
            return ResponseCount(0, 0, 0)
        response = self._response(self.study.config.drift.sampling.model_dump())
        middle = (section.turns - 1) / 2
        prompt = middle * response + (middle + 1) * self._message + _TEMPLATE
        return ResponseCount(section.turns * len(self._talks), prompt, response)

    @property
    def _talks(self) -> list[str]:
        """Return the auditor's prompt for every simulated conversation."""
        users = [p for d in self.study.simulated_domains.values() for p in d.personas]
        prompt = self.study.auditor_prompt
        return [prompt.filled(user.description, t.text) for user in users for t in user.topics]

    @property
    def _message(self) -> float:
        """Tokens of a simulated user's message."""
        auditor, own = self.study.auditor, self.study.config.drift.sampling.max_new_tokens
        return self.rates.response_fill * (auditor.max_tokens if auditor else own)

    @property
    def _arms(self) -> int:
        return 1 + len(node_params.capping_arms(self.study, self.model))

    def _crossed(
        self, prompts: Sequence[str | None], questions: Sequence[str], record: Mapping[str, Any]
    ) -> ResponseCount:
        count = len(prompts) * len(questions) * record["samples"]
        prompt = self._mean([text or "" for text in prompts]) + self._mean(questions) + _TEMPLATE
        return ResponseCount(count, prompt, self._response(record["sampling"]))

    def _steered(self, arms: int, record: Mapping[str, Any]) -> ResponseCount:
        questions = [text for _, text in record["questions"]]
        return self._crossed([""] * arms, questions, record)

    def _mean(self, texts: Sequence[str]) -> float:
        characters = sum(len(text) for text in texts) / max(1, len(texts))
        return characters / self.rates.characters_per_token

    def _response(self, sampling: Mapping[str, Any]) -> float:
        return self.rates.response_fill * float(sampling["max_new_tokens"])

    def generate(self, rows: ResponseCount) -> NodeWork:
        """Return the work of generating the responses."""
        return NodeWork(
            responses=rows.number,
            generated=rows.number * rows.response,
            read=rows.number * rows.prompt,
        )

    def extract(self, rows: ResponseCount, spans: int) -> NodeWork:
        """Return the work of extracting means over ``spans`` spans at every layer."""
        tokens = rows.number * (rows.prompt + rows.response)
        return NodeWork(read=tokens, vectors=rows.number * spans * self._layers)

    def spans(self, wildcards: Mapping[str, str]) -> int:
        """Return how many spans of a trait's rollouts are averaged."""
        return len(node_params.trait_spans(self.study, wildcards["trait"]))

    def rubrics(self, wildcards: Mapping[str, str]) -> int:
        """Return by how many rubrics a trait's responses are scored."""
        return len(node_params.trait_rubrics(self.study, wildcards["trait"]))

    def reduce_role(self, wildcards: Mapping[str, str]) -> NodeWork | None:
        """Return the work of reading a role's rollouts."""
        return self._reading([self.role(wildcards)])

    def project_roles(self, wildcards: Mapping[str, str]) -> NodeWork | None:
        """Return the work of reading all rollouts of a part of the roles again."""
        names = role_parts(self.study)[wildcards["part"]]
        return self._reading(self.role({**wildcards, "role": name}) for name in names)

    def reduce_trait(self, wildcards: Mapping[str, str]) -> NodeWork | None:
        """Return the work of reading the rollouts of both sides of a trait."""
        return self._reading(self._sides(wildcards, [wildcards["trait"]]))

    def reduce_space(self, wildcards: Mapping[str, str]) -> NodeWork | None:
        """Return the work of reading the rollouts of a part of the trait space."""
        return self._reading(self._sides(wildcards, trait_parts(self.study)[wildcards["part"]]))

    def _sides(self, at: Mapping[str, str], traits: Sequence[str]) -> Iterator[ResponseCount]:
        for trait in traits:
            for polarity in ("positive", "negative"):
                yield self.trait({**at, "trait": trait, "polarity": polarity})

    def _reading(self, parts: Iterable[ResponseCount]) -> NodeWork | None:
        if self.study.keeps_activations:
            return None
        return NodeWork(read=sum(rows.number * (rows.prompt + rows.response) for rows in parts))

    def project(self, rows: ResponseCount) -> NodeWork:
        """Return the work of reading the prompts alone."""
        return NodeWork(read=rows.number * rows.prompt)

    def shown(self, at: Mapping[str, str]) -> NodeWork:
        """Return the work of reading the transcripts whose tokens the report shades.

        Conversations are counted as if all were read, each turn with those before it.
        """
        most = self.study.config.report.token_transcripts
        single = [(self._arms, self.capping(at))]
        for trait in self.study.trait_names[:1]:
            arms = len(node_params.steering(self.study, trait)["coefficients"])
            single.append((arms, self.steering({**at, "trait": trait})))
        read = sum(most * arms * (rows.prompt + rows.response) for arms, rows in single)
        spoken = (self.replays(at), self.simulated(at), self.cases(at))
        return NodeWork(read=read + sum(rows.number * rows.response for rows in spoken))

    def judge(self, rows: ResponseCount, rubrics: int) -> NodeWork:
        """Return the work of scoring every response by ``rubrics`` rubrics."""
        judging, verdicts = self.study.config.judging, rows.number * rubrics
        read = tokens = 0.0
        if judging.needs_model:
            read = verdicts * _LIKELIHOOD_PASSES * (rows.prompt + rows.response)
        if self.study.chat_judges:
            tokens = verdicts * (self.rates.judge_instructions + rows.prompt + rows.response)
        return NodeWork(read=read, verdicts=verdicts, judge_tokens=tokens)

    def calibrate(self) -> NodeWork:
        """Return the work of judging every labelled answer; judges behind an API judge it twice
        where their bias is checked.
        """
        study = self.study
        traits, roles = node_params.judged_traits(study), node_params.judged_roles(study)
        kinds = node_params.judged_kinds(study)
        labelled = labelled_items(study.library.labelled, traits, roles)
        items = [item for item in labelled if item.rubric.kind in kinds]
        prompt = self._mean([item.question for _, item, *_ in items])
        response = self._mean([item.response for _, item, *_ in items])
        once = self.judge(ResponseCount(len(items), prompt, response), 1)
        passes = 2 if study.config.judging.bias_checks and study.chat_judges else 1
        return once._replace(
            verdicts=passes * once.verdicts, judge_tokens=passes * once.judge_tokens
        )

    def cost(self) -> NodeWork:
        """Return the work of scoring neutral answers and closed questions under every arm."""
        section = self.study.config.capping
        neutral = section.neutral_questions * len(self.study.library.default.prompts)
        choices = sum(len(item["choices"]) for item in node_params.closed_answers(self.study))
        response = self._response(section.sampling.model_dump())
        return NodeWork(read=self._arms * (neutral * (50 + response) + choices * 60))

    def simulate(self, rows: ResponseCount) -> NodeWork:
        """Return the work of generating responses, each to a message that the auditor writes."""
        read = rows.number * (self._mean(self._talks) + rows.prompt)
        if self.study.auditor is None:  # the model plays the user
            own = NodeWork(generated=rows.number * self._message, read=read)
            return self.generate(rows).plus(own)
        return self.generate(rows)._replace(
            messages=rows.number, auditor_read=read, auditor_written=rows.number * self._message
        )

    def conversations(self, rows: ResponseCount, simulated: ResponseCount) -> NodeWork:
        """Return the work of projecting the shipped, the replayed and the simulated turns."""
        turns = rows.number + rows.number // 2
        further = simulated.number * (self._message + simulated.response)
        return NodeWork(read=turns * (50 + rows.response) + further)
