"""The trait space: short traits that templates expand into full traits."""

from collections.abc import Sequence

from personae.personas.library.records import (
    SPACE_KEYS,
    InstructionPair,
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
    """Expand a short trait with the templates, one instruction pair each.

    The result has no questions, graded prompts or examples: it uses the roles' questions (AA, trait
    space) and is neither steered nor monitored.
    """
    # Not validated: the record's rules require fields that only a trait with its own file has.
    return Trait.model_construct(
        slug=trait.slug,
        name=trait.name,
        antonym=trait.antonym,
        description=f"{trait.name.capitalize()}, not {trait.antonym}.",
        pairs=[
            InstructionPair(
                positive=fill(each.positive, trait), negative=fill(each.negative, trait)
            )
            for each in templates
        ],
        questions=TraitQuestionSets.model_construct(extraction=[], evaluation=[]),
        rubric=fill(_RUBRIC, trait),
    )


def fill(template: str, trait: SpaceTrait) -> str:
    """Fill a template's placeholders with the trait's names and sentences."""
    # Splits the template first, so that braces in the trait's sentences stay as they are.
    head, *rest = template.split("{")
    for part in rest:
        key, closed, after = part.partition("}")
        known = closed and key in SPACE_KEYS
        head += f"{getattr(trait, key)}{after}" if known else "{" + part
    return head
