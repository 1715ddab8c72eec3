"""The estimate as a table of plain text."""

from __future__ import annotations

from personae.workflow.estimate.totals import Estimate, ModelEstimate

_HEADINGS = (
    "model",
    "nodes",
    "responses",
    "hours",
    "GPU hours",
    "CPU hours",
    "judge tokens",
    "judging",
    "disk",
    "peak",
    "group",
    "jobs",
)


def render(estimate: Estimate) -> str:
    """Return the table, its totals, and where the rates are from."""
    rows = [_HEADINGS, *(_row(model) for model in estimate.models)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join(_pad(cells, widths)) for cells in rows]
    return "\n".join([*lines, "", *_totals(estimate), *_sources(estimate)])


def _row(model: ModelEstimate) -> tuple[str, ...]:
    return (
        model.model,
        str(model.nodes),
        f"{model.responses:,}",
        f"{model.hours:,.1f}",
        f"{model.gpu_hours:,.1f}{_mark(model)}",
        f"{model.cpu_hours:,.1f}",
        f"{model.judge_tokens / 1e6:,.1f} M",
        f"{model.judging_hours:,.1f} h",
        _size(model.disk.at_rest),
        _size(model.disk.peak),
        str(model.group),
        str(model.allocations),
    )


def _mark(model: ModelEstimate) -> str:
    """Return the mark of GPU hours that rest on a rate that was not measured."""
    return "*" if model.gpus and not model.speed.is_measured else ""


def _pad(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    first, *others = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]


def _totals(estimate: Estimate) -> list[str]:
    models = estimate.models
    gpu_hours = sum(model.gpu_hours for model in models)
    size = _size(sum(model.disk.at_rest for model in models))
    tokens = sum(model.judge_tokens for model in models)
    lines = [
        f"In all {sum(model.nodes for model in models):,} nodes of models and judges, "
        f"{sum(model.table_nodes for model in models):,} nodes of tables, "
        f"{gpu_hours:,.0f} GPU hours, {sum(model.cpu_hours for model in models):,.0f} CPU hours of "
        f"nodes beside the models, {sum(model.judging_hours for model in models):,.0f} hours of "
        f"judging behind endpoints, {size} of results."
    ]
    if any(_mark(model) for model in models):
        lines.append("* from a rate that was not measured on a GPU; the last lines say which.")
    if tokens:
        verdicts = sum(model.verdicts for model in models)
        cost = "no price is known" if estimate.dollars is None else f"{estimate.dollars:,.0f} USD"
        lines.append(
            f"Judge {estimate.judge}: {verdicts:,} verdicts, {tokens / 1e6:,.0f} M tokens: {cost}."
        )
    else:
        lines.append(f"Judge {estimate.judge}: no call to an API.")
    if estimate.auditor:
        messages = sum(model.messages for model in models)
        tokens = sum(model.auditor_read + model.auditor_written for model in models)
        dollars = estimate.auditor_dollars
        cost = "no price is known" if dollars is None else f"{dollars:,.0f} USD"
        lines.append(
            f"Auditor {estimate.auditor}: {messages:,} user messages, {tokens / 1e6:,.0f} M "
            f"tokens: {cost}."
        )
    lines.append(
        "group: personas per allocation that keep it busy for hours, with loading under a "
        "twentieth of the time (PERSONAE_SLURM_GROUP); jobs: allocations that load the model."
    )
    return lines


def _sources(estimate: Estimate) -> list[str]:
    return [
        f"{model.model}: {model.speed.generate:,.0f} tokens/s generated, "
        f"{model.speed.read:,.0f} read, {model.speed.load_seconds:,.0f} s to load "
        f"({model.speed.source})"
        for model in estimate.models
    ]


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
