"""Average the capability items by arm and kind, paired with the uncapped arm.

Accuracy with Wilson bounds; its change with Tango's interval for paired shares and the exact
two-sided McNemar p-value (AA, capabilities under capping). Columns: ``capability_changes``.
"""

from personae.data import tables
from personae.data.data_frames import read_frame
from personae.science.capability import capability_changes


def main(*, responses: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write one row per arm and kind, and one per arm for all kinds."""
    columns = ["direction", "band", "percentile", "kind", "item", "correct"]
    rows = capability_changes(read_frame(responses, "capability_responses", columns))
    table = tables.from_rows(rows, "capability_changes")
    tables.write(table, path_out, "capability_changes", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, responses=snakemake.input[0], path_out=snakemake.output[0])
