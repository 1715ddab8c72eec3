"""Draft the artifacts of a trait that a study describes and the library lacks (PV, artifacts).

The study's artifact writer is asked for instruction pairs, questions, rubric, graded and many-shot
prompts. Output: the trait's file in the library, for a person to read and edit.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personae.workflow.config import load_config
from personae.workflow.trait_drafting import draft_trait

LOG = logging.getLogger("personae")


def main(
    *,
    trait: str,
    description: str,
    config: Mapping[str, Any],
    root: str,
    provenance: dict[str, str],
) -> None:
    """Write the trait's file, which must not be there, below the project root ``root``."""
    path = draft_trait(trait, description, load_config(config), Path(root))
    LOG.info("wrote %s: read every line before a study uses it", path)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        trait=snakemake.wildcards.drafted,
        description=snakemake.params.description,
        config=snakemake.config,
        root=snakemake.params.root,
    )
