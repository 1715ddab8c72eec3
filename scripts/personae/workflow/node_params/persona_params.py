"""Parameters of the nodes that generate the responses from which vectors come."""

from __future__ import annotations

from personae.data.table_values import DEFAULT, ROLE_SPANS
from personae.judging.judge_types import RubricKind
from personae.workflow.config.persona_sections import TraitSpaceSection, TraitsSection
from personae.workflow.config.study import Study
from personae.workflow.node_params.question_texts import Record, numbered


def engine_record(study: Study, model: str) -> Record:
    """The model, the embedder and the engine settings that change results."""
    row = study.models[model]
    record: Record = {
        "model": f"results/models/{model}",
        "embedder": f"results/models/{study.config.embedder}",
        "kind": study.config.engine.kind,
        "dtype": study.config.engine.dtype,
        "tensor_parallel": row.tensor_parallel or max(row.gpus, 1),
    }
    own = {name: getattr(row, name) for name in ("quantization", "gpu_share", "max_length")}
    return record | {name: value for name, value in own.items() if value is not None}


def generator(study: Study, model: str) -> Record | None:
    """The endpoint that generates plain responses of a model, or None: the model server does."""
    name = study.config.assignments.generators.get(model)
    if name is None:
        return None
    # What is sampled, and how, is part of the rollouts.
    own = study.config.endpoints[name].answering()
    return {"endpoint": name, **{key: own[key] for key in ("base_url", "model", "extra_body")}}


def role_rollouts(study: Study, model: str, role: str) -> Record:
    """System prompts x questions x samples of a role, or of the default Assistant."""
    section = study.config.roles
    record = study.library.default if role == DEFAULT else study.roles[role]
    return {
        "role": role,
        "prompts": list(record.prompts[: section.prompts]),
        "questions": {
            "extraction": study.extraction_texts,
            "heldout": study.heldout_texts,
        },
        "samples": section.samples,
        "model_name": study.models[model].display_name,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def trait_rollouts(study: Study, trait: str, polarity: str) -> Record:
    """Instructions x extraction questions x samples of one side of a trait.

    A trait of the trait space uses the roles' questions (AA, trait space).
    """
    section: TraitsSection | TraitSpaceSection
    if trait in study.space:
        section, record = study.config.trait_space, study.space[trait]
        questions = study.extraction_texts[: section.questions]
    else:
        section, record = study.config.traits, study.traits[trait]
        questions = numbered(record.questions.extraction[: section.questions.extraction])
    return {
        "trait": trait,
        "polarity": polarity,
        "adjective": record.name if polarity == "positive" else record.antonym,
        "instructions": [getattr(pair, polarity) for pair in record.pairs[: section.pairs]],
        "questions": questions,
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def trait_filter(study: Study, trait: str) -> Record:
    """Which rollouts of a trait enter its vector; the trait space's pairs are of single rows.

    Without a least coherence the trait space is not judged for it.
    """
    if trait in study.space:
        space = study.config.trait_space
        return {
            "pairing": "rows",
            "min_trait": None,
            "min_coherence": space.min_coherence or None,
            "min_difference": space.min_difference,
            "min_kept": space.min_cells,
        }
    traits = study.config.traits
    return {
        "pairing": traits.filter,
        "min_trait": traits.min_trait_score,
        "min_coherence": traits.min_coherence,
    }


def space_filter(study: Study) -> Record:
    """Which rollouts of the trait space enter vectors: the same for all its traits."""
    names = study.space_names
    return trait_filter(study, names[0]) if names else {}


def trait_rubrics(study: Study, trait: str) -> list[RubricKind]:
    """What a trait's responses are judged by; coherence only where the filter or a claim reads it.

    Nobody reads the coherence of the trait space but a filter that asks for it.
    """
    asked = trait not in study.space or study.config.trait_space.min_coherence > 0
    return ["trait", "coherence"] if asked else ["trait"]


def trait_spans(study: Study, trait: str) -> list[str]:
    """Spans whose activations of a trait's rollouts are used, a variant of its vector each."""
    return list(ROLE_SPANS if trait in study.space else study.config.traits.spans)


def kept_of_roles(study: Study, model: str) -> Record:
    """What is kept of a role's rollouts beside its vectors."""
    return {
        "folds": study.config.activations.folds,
        "sampled": study.config.axis.null_rollouts,
        "layers": study.kept_layers(model),
    }


def compared_models(study: Study) -> list[Record]:
    """Name, base model and middle layer of every model of the study."""
    rows = [study.models[name] for name in study.model_names]
    return [row.model_dump(include={"name", "base", "middle_layer"}) for row in rows]
