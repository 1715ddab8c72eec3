"""Which model a command asks, under which interventions, and what the study knows of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import EngineSpec
from personae.base.errors import PersonaeError
from personae.base.validation_messages import did_you_mean
from personae.data.model_table import ModelRow, read_models
from personae.inference.engine_errors import UnknownModelError
from personae.inference.server.presets import PLAIN, Presets
from personae.inference.server.study_presets import study_presets
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.vector_files import read_families
from personae.science.capping_arms import vector_key

_TABLE: Final = "config/models.tsv"
_USUAL_STUDY: Final = "demo"
_STEER: Final = re.compile(r"(?P<name>[^=@]+)=(?P<coefficient>-?\d+(?:\.\d+)?)(?:@(?P<layer>\d+))?")


def find_model(name: str, root: Path = Path()) -> tuple[ModelRow, Path]:
    """Return a model's row and the folder of its prepared weights.

    Raises
    ------
    PersonaeError
        If the table has no such chat model, or it is not prepared.
    """
    rows = {
        key: row for key, row in read_models(root / _TABLE, _TABLE).items() if row.kind == "chat"
    }
    if name not in rows:
        raise PersonaeError(f"no chat model {name!r} in {_TABLE}{did_you_mean(name, rows)}")
    folder = root / "results/models" / name
    if not (folder / "manifest.json").is_file():
        raise PersonaeError(
            f"{name}: not prepared; prepare it with: "
            f"snakemake --cores 1 results/models/{name}/manifest.json"
        )
    return rows[name], folder


def engine_spec(folder: Path) -> EngineSpec:
    """Return the specification of a server of a prepared model."""
    return EngineSpec(model=str(folder.resolve()))


def presets_of(
    row: ModelRow,
    root: Path,
    *,
    study: str | None = None,
    cap: str | None = None,
    steer: str | None = None,
    vector: Path | None = None,
) -> Presets:
    """Return what may be asked of a model by name, and its default.

    Parameters
    ----------
    study
        Name of a study, or the folder of its results; the demo's if there are any.
    cap
        Study whose cap is the default.
    steer
        ``NAME=COEFFICIENT[@LAYER]``: steering that is the default, with the cap if both are given;
        without a layer, at the layer that the study chose.
    vector
        File of vectors in a published format, which ``steer`` may name.

    Raises
    ------
    PersonaeError
        In one line, if a study, a vector or a setting does not exist.
    """
    more = _vectors_of(vector, row) if vector else {}
    wanted = cap or study
    folder = results_folder(wanted, row.name, root)
    if wanted is None and not folder.is_dir():
        return _without_study(more, steer, row)
    middle = row.middle_layer or 0
    found = study_presets(folder, middle, "cap" if cap else "", more)
    if steer is None:
        return found
    setting = _steering(steer, found.offered, middle)
    return study_presets(folder, middle, "+".join(filter(None, (found.default, setting))), more)


def _without_study(
    more: dict[str, NDArray[np.float32]], steer: str | None, row: ModelRow
) -> Presets:
    default = _steering(steer, (), row.middle_layer or 0) if steer else ""
    try:
        return Presets(more, [PLAIN], default)
    except UnknownModelError as error:
        raise PersonaeError(str(error)) from None


def results_folder(study: str | None, model: str, root: Path = Path()) -> Path:
    """Return the folder of a model's results, which may not be there.

    A study is given by name or as a folder; None is the demo.
    """
    study = study or _USUAL_STUDY
    given = Path(study)
    folder = given if given.is_dir() and len(given.parts) > 1 else root / "results" / study
    return folder / model


def _steering(text: str, offered: tuple[str, ...], middle: int) -> str:
    """Return the setting of ``NAME=COEFFICIENT[@LAYER]``."""
    found = _STEER.fullmatch(text)
    if not found:
        raise PersonaeError(f"--steer {text}: write NAME=COEFFICIENT@LAYER, such as poetic=2@14")
    chosen = [one for one in offered if one.startswith(f"{found['name']}@")]
    layer = chosen[0].partition("@")[2].partition("x")[0] if chosen else str(middle)
    return f"{found['name']}@{found['layer'] or layer}x{found['coefficient']}"


def _vectors_of(path: Path, row: ModelRow) -> dict[str, NDArray[np.float32]]:
    # ASSUME: a file that does not say so has a row a block, and points toward what it names.
    source = PublishedSource(
        model=row.name, kind="trait", path=str(path.absolute()), layers="blocks",
        orientation="toward",
    )  # fmt: skip
    return {
        vector_key(family.name, layer): np.asarray(vector, np.float32)
        for family in read_families(source, row, Path())
        for layer, vector in zip(family.at, family.vectors, strict=True)
    }
