"""Check external needs of a study before the first job, but not in a dry run."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from personae.data.model_table import ModelRow
from personae.endpoints.keys import find_key, missing_key
from personae.inference.engine_errors import ModelError
from personae.inference.model_config import ModelShape, config_problem, read_config, shape_problem
from personae.personas.library import LibraryError, read_training_file
from personae.workflow.config.study import Study

_TIMEOUT = 10  # seconds to wait for the model hub


def check_ready(study: Study, prepared: Path = Path("results/models")) -> list[str]:
    """Return one line per thing that is missing on this machine.

    Parameters
    ----------
    study
        A checked study.
    prepared
        Folder of prepared models, relative to the project root. What is prepared already needs
        neither package nor network.
    """
    problems = [*_endpoint_keys(study), *_training_files(study)]
    for name in (*study.config.models, study.config.embedder):
        if not (study.base / prepared / name / "manifest.json").is_file():
            problem = _source_problem(study.models[name], study.config.engine.kind)
            problems += [f"{study.config.model_table}: {name}: {problem}"] if problem else []
    return problems


def _endpoint_keys(study: Study) -> Iterator[str]:
    for name in study.endpoint_names:
        variable = study.config.endpoints[name].key_variable
        if variable is not None and find_key(variable, study.base) is None:
            yield missing_key(variable, name)


def _training_files(study: Study) -> Iterator[str]:
    """Read the files to screen from end to end, which takes too long for every process."""
    for file in study.config.screening.files:
        try:
            read_training_file(study.base / file.path, file.path)
        except LibraryError as error:
            yield str(error)


def _source_problem(row: ModelRow, engine: str) -> str | None:
    match row.source:
        case "package" | "random":
            return _package_problem(row)
        case "hub":
            return _hub_problem(row, engine)
        case "folder":
            return None  # every run checks folders, dry runs too


def _package_problem(row: ModelRow) -> str | None:
    wanted = row.revision.partition("+")[0]  # random weights: version, + and seed
    try:
        installed = importlib.metadata.version(row.id)
    except importlib.metadata.PackageNotFoundError:
        return f"package {row.id} is not installed; install version {wanted}"
    if installed != wanted:
        return f"package {row.id} is installed in version {installed}; install {wanted}"
    return None


def _hub_problem(row: ModelRow, engine: str) -> str | None:
    """Say why the commit of ``row`` can be had neither from the local cache nor from the hub.

    A model in the cache is looked at now; any other one once its ``config.json`` is fetched, before
    its weights are.
    """
    # Imported here: slow, and only needed when a run starts.
    import httpx
    from huggingface_hub import constants, get_token, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(row.id, "config.json", revision=row.revision)
    if isinstance(cached, str):
        return _cached_problem(Path(cached), row, engine)
    remedy = "connect to the network, or download the model and name its folder"
    if constants.HF_HUB_OFFLINE:
        return (
            f"{row.id} is not in the local cache and HF_HUB_OFFLINE is set; unset it and {remedy}"
        )
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = hf_hub_url(row.id, "config.json", revision=row.revision)
    try:
        status = httpx.head(url, headers=headers, timeout=_TIMEOUT).status_code
    except httpx.HTTPError as error:
        return (
            f"{row.id} is not in the local cache and the hub cannot be reached ({error}); {remedy}"
        )
    if status in (401, 403):
        return f"{row.id} cannot be read; accept its licence on the hub and set HF_TOKEN"
    if status == 404:
        return f"the hub has no {row.id} at commit {row.revision}; correct id or revision"
    if status >= 400:
        return f"the hub answers {status} for {row.id}; try again later, or {remedy}"
    return None


def _cached_problem(path: Path, row: ModelRow, engine: str) -> str | None:
    try:
        config = read_config(path, row.id)
        problem = shape_problem(config, row.id, ModelShape("", row.n_layers, row.hidden_size))
    except ModelError as error:
        return str(error)
    if not problem and row.kind == "chat" and (unfit := config_problem(config, engine)):
        return f"{row.id}: {unfit}"
    return problem
