"""Load figures with the title and finding stored in their SVG metadata."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from personae.base.errors import PersonaeError

_DUBLIN_CORE = {"dc": "http://purl.org/dc/elements/1.1/"}


class FigureView(NamedTuple):
    """A figure as the page shows it.

    Attributes
    ----------
    name
        Name of the figure, as in its rule and file.
    title
        Heading.
    finding
        Sentence computed from the data that states the result.
    caption
        How to read the figure.
    path
        Its file.
    sources
        The tables that it was drawn from, with ``*`` for names that vary; empty if not recorded.
    regions
        Parts that a narrow page shows below each other, see `personae.report.plots.figure_files`:
        ``left,top,right,bottom`` as shares of the figure, separated by spaces.
    source
        The SVG as a data URI for an ``img`` element, so that ids and styles of figures cannot
        clash.
    """

    name: str
    title: str
    finding: str
    caption: str
    path: str
    sources: str
    regions: str
    source: str


def load_figure(path: str, captions: Mapping[str, str]) -> FigureView:
    """Read a figure that `personae.report.plots.style.save` wrote.

    Parameters
    ----------
    path
        SVG file, named after the figure.
    captions
        Maps a figure's name to its caption.

    Raises
    ------
    PersonaeError
        If the file is not an SVG, or has no title or finding.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise PersonaeError(f"{path}: not an SVG file ({error}); delete it and run again") from None
    texts = {
        name: root.findtext(f".//dc:{name}", default="", namespaces=_DUBLIN_CORE)
        for name in ("title", "description")
    }
    if not all(texts.values()):
        raise PersonaeError(f"{path}: the figure has no title or finding; delete it and run again")
    name = Path(path).stem
    encoded = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    source = f"data:image/svg+xml;base64,{encoded}"
    tables = root.findtext(".//dc:relation", default="", namespaces=_DUBLIN_CORE)
    regions = root.findtext(".//dc:coverage", default="", namespaces=_DUBLIN_CORE)
    return FigureView(
        name=name,
        title=texts["title"],
        finding=texts["description"],
        caption=captions[name],
        path=path,
        sources=patterns(tables),
        regions=regions,
        source=source,
    )


def patterns(paths: str) -> str:
    """Shorten a list of paths, joined by ``; ``: what varies among files of one name is ``*``.

    >>> patterns("a/x/t.parquet; a/y/t.parquet; b.parquet")
    'a/*/t.parquet, b.parquet'
    """
    groups: dict[tuple[int, str], list[tuple[str, ...]]] = {}
    for path in filter(None, paths.split("; ")):
        parts = Path(path).parts
        groups.setdefault((len(parts), parts[-1]), []).append(parts)
    merged = (
        "/".join(
            names.pop() if len(names := set(column)) == 1 else "*"
            for column in zip(*group, strict=True)
        )
        for group in groups.values()
    )
    return ", ".join(merged)


def load_captions(paths: Iterable[str]) -> dict[str, str]:
    """Read the captions ``plot_<figure>.rst``, which are plain text without markup."""
    return {
        Path(path).stem.removeprefix("plot_"): " ".join(Path(path).read_text("utf-8").split())
        for path in paths
    }
