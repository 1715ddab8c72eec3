"""Checks of a study's endpoints, and of what judges by them, before any job starts."""

from collections.abc import Iterator

from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean
from personae.judging.judge_types import OFFLINE
from personae.judging.rubrics import KINDS
from personae.workflow.config.study import Study
from personae.workflow.judge_rubrics import judge_rubric_templates, judge_templates


def unknown_endpoints(study: Study) -> Iterator[str]:
    """Names of judges and endpoints that there are not, and names that mean two things."""
    config = study.config
    known = set(config.endpoints)
    sampled = [
        (f"judging.sampled[{i}].judge", s.judge) for i, s in enumerate(config.judging.sampled)
    ]
    judges = [("judging.primary", config.judging.primary), *sampled]
    if config.judging.second is not None:
        judges.insert(1, ("judging.second", config.judging.second))
    for place, name in judges:
        if name not in known | set(OFFLINE):
            yield f"{place}: no judge {name!r}{did_you_mean(name, known | set(OFFLINE))}"
    assigned = {
        "assignments.auditor": config.assignments.auditor,
        "assignments.artifact_writer": config.assignments.artifact_writer,
        **{f"assignments.generators.{m}": e for m, e in config.assignments.generators.items()},
    }
    for place, endpoint in assigned.items():
        if endpoint is not None and endpoint not in known:
            yield f"{place}: no endpoint {endpoint!r}{did_you_mean(endpoint, known)}; add it"
    for name in sorted(known & set(OFFLINE)):
        yield f"endpoints.{name}: the name of an offline judge; choose another"
    for model in config.assignments.generators:
        if model not in config.models:
            near = did_you_mean(model, config.models)
            yield f"assignments.generators.{model}: no model of the study{near}; correct it"


def undraftable(study: Study) -> Iterator[str]:
    """Traits that are only described and that nobody can draft."""
    writer = study.config.assignments.artifact_writer
    for name in study.undrafted:
        place = f"traits.described.{name}"
        if name in study.library.trait_space:
            yield f"{place}: is in the trait space; choose another name"
        elif writer is None:
            yield (
                f"{place}: has no file in {study.config.library.traits}; name an endpoint in "
                "assignments.artifact_writer that drafts it, or write the file"
            )


def check_endpoints(study: Study) -> Iterator[str]:
    """Rubrics and templates that cannot be used, and a budget without prices."""
    judging = study.config.judging
    for kind in judging.templates:
        if kind not in KINDS:
            yield f"judging.templates.{kind}: no rubric {kind!r}{did_you_mean(kind, KINDS)}"
            return
    if judging.max_cost is not None:
        writer = study.config.assignments.artifact_writer
        for name in dict.fromkeys([*study.endpoint_names, *([writer] if writer else [])]):
            endpoint = study.config.endpoints[name]
            if endpoint.price_in is None or endpoint.price_out is None:
                yield (
                    f"endpoints.{name}: no price_in and price_out, which judging.max_cost needs; "
                    "add them, 0 where nothing is paid"
                )
    try:
        judge_rubric_templates(study)
        for kind in KINDS:
            judge_templates(study, kind, _targets(study).get(kind, [""]))
    except PersonaeError as error:
        yield from str(error).splitlines()
    yield from _missing_templates(study)


def _targets(study: Study) -> dict[str, list[str]]:
    """Return the possible targets of each kind of rubric."""
    return {"role_adherence": list(study.library.roles), "trait": list(study.library.traits)}


def _missing_templates(study: Study) -> Iterator[str]:
    targets = {"role_adherence": study.role_names, "trait": study.trait_names}
    for kind, path in study.config.judging.templates.items():
        for target in targets.get(kind, [""]):
            name = path.replace("{target}", target)
            if not (study.base / name).is_file():
                yield f"judging.templates.{kind}: {name}: no such file; correct the path"
