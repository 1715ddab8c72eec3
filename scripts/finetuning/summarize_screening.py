"""Summarise the screening of training data, and flag rows (PV, data screening).

Per dataset and trait: mean projection difference, AUC of its rows against normal ones, what one own
answer in place of many loses, and the shift that training then caused. Tables: ``screening`` and
``flagged_rows``.
"""

from collections.abc import Mapping, Sequence

from personae.data import tables
from personae.data.data_frames import read_frame
from personae.science.finetuning_shift import mean_by_dataset
from personae.science.screening import flagged_rows, summary_rows


def main(
    *,
    rows: Sequence[str],
    shifts: str | None,
    datasets: Mapping[str, Sequence[str]],
    paths_out: Mapping[str, str],
    percentile: float,
    provenance: dict[str, str],
) -> None:
    """Write both tables; ``datasets`` maps names to trait and level, empty for a user's file."""
    screened = read_frame(rows, "screened_rows")
    named = {name: (trait, level) for name, (trait, level) in datasets.items()}
    effects = mean_by_dataset(read_frame(shifts, "finetuning_shifts")) if shifts else {}
    made = {
        "screening": summary_rows(screened, named, effects, percentile),
        "flagged_rows": flagged_rows(screened, named, percentile),
    }
    for kind, found in made.items():
        tables.write(tables.from_rows(found, kind), paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        rows=list(snakemake.input.rows),
        shifts=snakemake.input.get("shifts"),
        datasets=snakemake.params.datasets,
        paths_out={
            "screening": snakemake.output.summary,
            "flagged_rows": snakemake.output.flagged,
        },
        percentile=snakemake.params.percentile,
    )
