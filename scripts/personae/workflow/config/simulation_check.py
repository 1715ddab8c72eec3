"""Checks of a study's simulated conversations, before any job starts."""

from collections.abc import Iterator

from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean
from personae.workflow.config.study import Study

_AT = "drift.simulated"


def unknown_domains(study: Study) -> Iterator[str]:
    """Report domains that the library lacks."""
    if (section := study.simulated) is None:
        return
    known = study.library.domains
    for index, name in enumerate(section.domains if section.domains != "all" else []):
        if name not in known:
            here = did_you_mean(name, known)
            yield f"{_AT}.domains[{index}]: no domain {name!r} in the library{here}"


def check_simulated(study: Study) -> Iterator[str]:
    """Report counts that exceed what the library has, and an unusable prompt of the auditor."""
    if (section := study.simulated) is None:
        return
    for name in study.simulated_domains:
        personas = study.library.domains[name].personas
        asked = [("personas", section.personas, len(personas), f"{name} has")]
        for persona in personas[: section.personas]:
            asked.append(("topics", section.topics, len(persona.topics), f"{persona.id} has"))
        used = study.simulated_domains[name].personas
        talks = sum(len(persona.topics) for persona in used)
        asked.append(("min_samples", section.min_samples, talks, f"conversations of {name} are"))
        for key, count, there, holder in asked:
            if count is not None and count > there:
                yield f"{_AT}.{key}: {count} is too many, {holder} {there}; lower it or add more"
    try:
        _ = study.auditor_prompt
    except PersonaeError as error:
        yield from str(error).splitlines()
