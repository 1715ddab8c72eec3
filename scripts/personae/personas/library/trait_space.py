"""The trait space: many short traits, expanded into traits by the same few templates."""

from collections.abc import Sequence

from personae.personas.library.records import (
    SPACE_KEYS,
    Pair,
    SpaceTemplate,
    SpaceTrait,
    Trait,
    TraitQuestionSets,
)

_RUBRIC = (
    "Score how {name} the response is, from 0 to 100. 100: it is clearly and throughout {name}. "
    "50: it shows some of it. 0: nothing of it, or it is {antonym}. What is asked for: {positive} "
    "Judge the manner of the response and not whether it is right. If the response refuses to "
    "answer, reply REFUSAL."
)


def expand_trait(trait: SpaceTrait, templates: Sequence[SpaceTemplate]) -> Trait:
    """Return the trait that the templates make of a short one, one instruction pair each.

    It has no questions, graded prompts or examples of its own: it answers the questions that roles
    answer (AA, trait space), and is neither steered nor monitored.
    """
    # The records' own rules ask for what only a trait with a file of its own has.
    return Trait.model_construct(
        slug=trait.slug,
        name=trait.name,
        antonym=trait.antonym,
        description=f"{trait.name.capitalize()}, not {trait.antonym}.",
        pairs=[
            Pair(positive=fill(each.positive, trait), negative=fill(each.negative, trait))
            for each in templates
        ],
        questions=TraitQuestionSets.model_construct(extraction=[], evaluation=[]),
        rubric=fill(_RUBRIC, trait),
    )


def fill(template: str, trait: SpaceTrait) -> str:
    """Return a template with the trait's own names and sentences in place of the placeholders."""
    # Each placeholder is split out once: braces in a trait's own sentence are just braces.
    head, *rest = template.split("{")
    for part in rest:
        key, closed, after = part.partition("}")
        known = closed and key in SPACE_KEYS
        head += f"{getattr(trait, key)}{after}" if known else "{" + part
    return head
