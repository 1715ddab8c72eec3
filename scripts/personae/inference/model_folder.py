"""Check from its JSON files alone whether this workflow can run a model folder.

It is checked before any job, so this module imports neither torch nor transformers. Every rejection
is one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from personae.inference.engine_errors import ModelError
from personae.inference.model_config import ModelShape, config_problem, read_config, shape_problem

INDEX: Final = "model.safetensors.index.json"
ADAPTER: Final = "adapter_config.json"
NO_TEMPLATE: Final = (
    "its tokenizer has no chat template, as that of a base model; name a jinja file in the column "
    "chat_template of the model table"
)


def folder_problem(
    folder: Path, where: str, stated: ModelShape, is_chat: bool, template: str, engine: str
) -> str | None:
    """Return why a local folder is not the model that the table states; None if it is.

    Parameters
    ----------
    where
        How messages name the folder.
    stated
        The table's shape; its model type is not compared.
    is_chat
        Whether it is a chat model, and no embedder.
    template
        Chat template that the table names; may be empty.
    engine
        `engine.kind` of the study.
    """
    if not folder.is_dir():
        return f"{where} is no folder; put the model there or correct the path"
    try:
        base = adapter_base(folder, where) if is_adapter(folder) else folder
        named = where if base is folder else repr(str(base))
        config = read_config(base / "config.json", named)
        weight_files(base, named)
        if problem := shape_problem(config, where, stated):
            return problem
    except ModelError as error:
        return str(error)
    if not is_chat:
        return None
    if problem := config_problem(config, engine):
        return f"{where}: {problem}"
    has_template = template or has_chat_template(folder) or has_chat_template(base)
    return None if has_template else f"{where}: {NO_TEMPLATE}"


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds a PEFT adapter, and not a model."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def adapter_base(folder: Path, where: str) -> Path:
    """Return the folder of the model that a PEFT adapter belongs to.

    Raises
    ------
    ModelError
        When the adapter names none, or none that is on this machine.
    """
    named = read_config(folder / ADAPTER, where).get("base_model_name_or_path")
    place = f"{where}: {ADAPTER}: base_model_name_or_path"
    if not isinstance(named, str) or not named:
        raise ModelError(f"{place} is missing; name the folder of the base model there")
    for base in (Path(named), folder / named):
        if (base / "config.json").is_file():
            return base
    raise ModelError(
        f"{place}: {named!r} is no model folder on this machine; download that model and write its "
        "folder there"
    )


def has_chat_template(folder: Path) -> bool:
    """Tell whether a folder's tokenizer brings a chat template."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        return bool(read_config(folder / "tokenizer_config.json", str(folder)).get("chat_template"))
    except ModelError:
        return False


def weight_files(folder: Path, where: str) -> list[Path]:
    """Return the safetensors files that transformers loads: those of the index, or the one file.

    Repositories also hold the same weights in their makers' own layout (``consolidated*``).

    Parameters
    ----------
    where
        How messages name the folder.

    Raises
    ------
    ModelError
        When there is none, or one that the index names is missing.
    """
    whole = folder / "model.safetensors"
    if (folder / INDEX).is_file():
        names = read_config(folder / INDEX, where).get("weight_map")
        if not isinstance(names, dict):
            raise ModelError(f"{where}: {INDEX} has no weight_map; copy the whole model")
        files = [folder / Path(str(name)).name for name in sorted(set(names.values()))]
    elif whole.is_file():
        files = [whole]
    else:
        files = [
            path
            for path in sorted(folder.glob("*.safetensors"))
            if not path.name.startswith(("consolidated", "adapter_model"))
        ]
    if not files:
        raise ModelError(f"{where} has no *.safetensors files; convert the model")
    if missing := [path.name for path in files if not path.is_file()]:
        raise ModelError(f"{where}: {missing[0]} of {INDEX} is missing; copy the whole model")
    return files
