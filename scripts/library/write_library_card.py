"""Write the library card: what the persona library holds, and what the checks of it found.

Counts and checks of the texts are about the whole library. Near-duplicates (cosine of sentence
embeddings) and opposed sides (by embedding and by likelihood) are about the whole of it, or about
what the study uses: the column ``scope`` says which. Likelihood is asked of the first model, where
a judge of the study asks its model at all. Columns: those of ``library_card``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.personas.library import Library
from personae.personas.library.settings import LibrarySection
from personae.report.library_card import card_rows
from personae.report.library_card.measured_checks import Opposing


def main(
    *,
    library: Mapping[str, Any],
    base: str,
    scope: Mapping[str, Sequence[str]] | None,
    judge: str,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per part of the library and check.

    The paths of ``library`` are relative to ``base``.
    """
    asks_model = judge == "likelihood"
    judges: tuple[Opposing, ...] = ("embedding", "likelihood") if asks_model else ("embedding",)
    opened = Library(LibrarySection(**library), Path(base))
    rows = card_rows(opened, engine, scope, judges)
    tables.write(tables.from_rows(rows, "library_card"), path_out, "library_card", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_judge_node

    run_judge_node(
        snakemake,
        main,
        library=snakemake.params.library,
        base=snakemake.params.base,
        scope=snakemake.params.scope,
        judge=snakemake.params.judging["primary"],
        path_out=snakemake.output[0],
    )
