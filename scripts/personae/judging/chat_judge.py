"""A chat model behind any OpenAI-compatible endpoint as judge.

The answer is enclosed in delimiters, the prompt tells the judge to ignore instructions in it, and
the last well-formed verdict counts. If the rubric and the endpoint allow it, the score is the
expectation over the numbers of the first token (PV, judge). Failures are verdicts with a reason,
never numbers.

A reply counts as finished only if its finish reason is known to mean that, or if it has none. With
any other finish reason (``length``, ``tool_calls``, an unknown one) it counts as truncated. A lost
verdict is reported as unscored; a wrong one would not be noticed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from personae.api.requests import Message
from personae.endpoints.ask import NoLogprobsError, Outcome, ask_all
from personae.endpoints.chat_answer import STOPPED, ChatAnswer, Failure
from personae.endpoints.chat_request import TOP, Body, make_body
from personae.endpoints.runtime import Runtime
from personae.judging.judge_prompts import fill_template, judge_prompt
from personae.judging.judge_types import (
    Judge,
    JudgeItem,
    JudgeVerdict,
    Reason,
    Rubric,
    RubricKind,
    Task,
)
from personae.judging.rubrics import KINDS, RubricTemplate
from personae.judging.verdict_parsing import MIN_MASS, asks_for_line, expectation, parse_verdict

LOG = logging.getLogger("personae")
_FILTERED: Final = frozenset(("content_filter", "safety"))
_UNCLEAR: Final = frozenset(("parse_failure", "truncated", "low_mass"))
"""Reasons for which the next run asks again: another answer may be clear."""

Templates = Mapping[str, Mapping[str, str]]
"""Kind of rubric to target to the text of a judge's prompt."""


class ChatJudge(Judge):
    """Scores answers by asking a chat model, many at a time.

    Parameters
    ----------
    name
        Name of the endpoint.
    runtime
        The endpoints and the database of their answers.
    rubric_templates
        Rubrics by kind.
    templates
        Prompts of other projects that replace a rubric template, by kind and target.
    answer_first
        Show the answer before the rubric.
    """

    kinds = frozenset(KINDS)

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        rubric_templates: Mapping[RubricKind, RubricTemplate],
        templates: Templates | None = None,
        *,
        answer_first: bool = False,
    ) -> None:
        self.name = name
        self._endpoint, self._runtime = runtime.endpoint(name), runtime
        self._rubric_templates, self._templates = rubric_templates, templates or {}
        self._answer_first = answer_first
        self._without_logprobs = False

    def reordered(self) -> ChatJudge:
        """Return this judge, reading the answer before the rubric."""
        return ChatJudge(
            self.name, self._runtime, self._rubric_templates, self._templates, answer_first=True
        )

    def score(self, rubrics: Sequence[Rubric], items: Sequence[JudgeItem]) -> list[JudgeVerdict]:
        """Return one verdict per rubric and item."""
        return self.score_tasks([(rubrics, items)])

    def score_tasks(self, tasks: Sequence[Task]) -> list[JudgeVerdict]:
        """Return the verdicts of all tasks; requests are sent concurrently.

        Raises
        ------
        PersonaeError
            One line, without key, when the endpoint refuses everything or too much fails.
        """
        pairs = [(r, i) for rubrics, items in tasks for r in rubrics for i in items]
        asked = [pair for pair in pairs if pair[1].response.strip()]
        outcomes = dict(zip(asked, self._outcomes(asked), strict=True))
        return [self._verdict(*pair, outcomes.get(pair)) for pair in pairs]

    def _outcomes(self, pairs: Sequence[tuple[Rubric, JudgeItem]]) -> list[Outcome]:
        # With more failures than this the node fails anyway, so it stops early.
        most = int(self._runtime.max_unscored * len(pairs))

        def ask() -> list[Outcome]:
            bodies = [self._body(*pair) for pair in pairs]
            return ask_all(self.name, bodies, self._runtime, most_failures=most, accepts=is_clear)

        def is_clear(index: int, answer: ChatAnswer) -> bool:
            return self._verdict(*pairs[index], answer).reason not in _UNCLEAR

        try:
            return ask()
        except NoLogprobsError as error:
            LOG.warning("%s; scores are read from the text of the answers", error)
            self._without_logprobs = True
            return ask()

    def _template(self, rubric: Rubric) -> str | None:
        return self._templates.get(rubric.kind, {}).get(rubric.target)

    def _expects(self, rubric: Rubric) -> bool:
        """Return whether the score is an expectation over tokens."""
        wanted = self._endpoint.logprobs and not self._without_logprobs
        return wanted and self._rubric_templates[rubric.kind].expectation

    def _body(self, rubric: Rubric, item: JudgeItem) -> Body:
        rubric_template, expects = self._rubric_templates[rubric.kind], self._expects(rubric)
        if template := self._template(rubric):
            prompt = fill_template(template, item)
        else:
            prompt = judge_prompt(
                rubric_template, rubric, item, number_only=expects, answer_first=self._answer_first
            )
        extra: dict[str, Any] = {}
        if expects:
            extra = {"logprobs": True, "top_logprobs": TOP}
        return make_body(self._endpoint, [Message(role="user", content=prompt)], **extra)

    def _verdict(self, rubric: Rubric, item: JudgeItem, outcome: Outcome | None) -> JudgeVerdict:
        unscored = JudgeVerdict(
            item.response_id, rubric.kind, rubric.target, self.name, None, "", None, mode="text"
        )
        if outcome is None:
            return unscored._replace(reason="empty_response")
        if isinstance(outcome, Failure):
            reason: Reason = "filtered" if outcome.reason == "filtered" else "api_error"
            return unscored._replace(raw=outcome.detail, reason=reason)
        unscored = unscored._replace(raw=outcome.text)
        if (end := outcome.finish_reason.lower()) in _FILTERED:
            return unscored._replace(reason="filtered")
        if end == "refusal":
            return unscored._replace(reason="refusal")
        if self._expects(rubric) and outcome.top:
            return self._expected(rubric, outcome, unscored)
        return self._parsed(rubric, outcome, unscored)

    def _expected(self, rubric: Rubric, answer: ChatAnswer, unscored: JudgeVerdict) -> JudgeVerdict:
        rubric_template = self._rubric_templates[rubric.kind]
        found = expectation(answer.tokens, answer.top, rubric_template.verdict[0])
        if found is None:
            return self._parsed(rubric, answer, unscored)
        if not found.mass >= MIN_MASS:  # also where the mass is NaN
            return self._without_mass(rubric, answer, unscored, found.mass)
        score = rubric_template.score((found.value,))
        scored = unscored._replace(mode="logprobs", mass=found.mass)
        return scored._replace(score=score.value, label=score.label, parts=score.parts)

    def _without_mass(
        self, rubric: Rubric, answer: ChatAnswer, unscored: JudgeVerdict, mass: float
    ) -> JudgeVerdict:
        """Parse the text if the first token is not a number (``VERDICT: 85``, ``REFUSAL``)."""
        word = bool(answer.tokens) and not answer.tokens[0].strip().isdigit()
        if word and (read := self._parsed(rubric, answer, unscored)).reason not in _UNCLEAR:
            return read if read.score is not None else read._replace(mode="logprobs", mass=mass)
        return unscored._replace(mode="logprobs", mass=mass, reason="low_mass")

    def _parsed(self, rubric: Rubric, answer: ChatAnswer, unscored: JudgeVerdict) -> JudgeVerdict:
        template, rubric_template = self._template(rubric), self._rubric_templates[rubric.kind]
        finished = answer.finish_reason.lower() in STOPPED
        bare = not asks_for_line(template) if template else self._expects(rubric)
        found = parse_verdict(answer.text, rubric_template, finished=finished, bare=bare)
        if bare and not template and found.reason == "parse_failure":
            # Lines forged by the judged answer are respelled, so this one is the judge's own.
            found = parse_verdict(answer.text, rubric_template, finished=finished)
        if found.score is None:
            return unscored._replace(reason=found.reason)
        score = found.score
        return unscored._replace(score=score.value, label=score.label, parts=score.parts)
