"""Tokens per second of models: measured where available, else from the roofline of their GPUs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from personae.base.errors import PersonaeError
from personae.base.field_types import Strict
from personae.base.strict_yaml import YamlError, read_yaml
from personae.base.validation_messages import explain
from personae.data.model_table import ModelRow

PATH = Path("config/rates.yaml")

_BYTES_PER_PARAMETER = 2  # bfloat16
_FLOP_PER_PARAMETER = 2  # one multiplication and one addition per token


class RatesError(PersonaeError):
    """A file of rates that cannot be used."""


class MeasuredRate(Strict):
    """Tokens per second that a model reached; what is left out comes from the roofline."""

    generate: float | None = Field(default=None, gt=0, description="Generated tokens per second.")
    read: float | None = Field(
        default=None, gt=0, description="Tokens per second in extraction and likelihoods."
    )
    load_seconds: float | None = Field(default=None, ge=0, description="Seconds to load it.")


class Roofline(Strict):
    """Peak rates of a GPU, and the shares of them that are reached."""

    gpu: str = Field(description="The GPU.")
    bandwidth: float = Field(gt=0, description="Bytes per second from its memory.")
    arithmetic: float = Field(gt=0, description="FLOP per second.")
    bandwidth_share: float = Field(gt=0, le=1, description="Share reached in decoding.")
    arithmetic_share: float = Field(gt=0, le=1, description="Share reached in reading.")
    step_seconds: float = Field(ge=0, description="Fixed cost of one decoding step.")
    rows: int = Field(ge=1, description="Responses that are decoded together.")
    load_bytes: float = Field(gt=0, description="Bytes of weights per second from disk.")


class Price(Strict):
    """Dollars per million tokens."""

    input: float = Field(ge=0, description="Of a prompt.")
    output: float = Field(ge=0, description="Of an answer.")


class CpuRates(Strict):
    """CPU seconds of nodes, measured at the size of one study and model."""

    node: float = Field(gt=0, description="Of every node: start, imports, reading and writing.")
    rollouts: int = Field(ge=1, description="Responses of a role where `tables` were measured.")
    roles: int = Field(ge=1, description="Roles there, with the default Assistant.")
    layers: int = Field(ge=1, description="Layers of the model there.")
    hidden: int = Field(ge=1, description="Dimensions of its residual stream.")
    by_values: dict[str, float] = Field(
        description="Further seconds of nodes that grow with layers and dimensions, by rule."
    )
    by_layers: dict[str, float] = Field(
        description="Further seconds of nodes that grow with the layers alone, by rule."
    )


class Rates(Strict):
    """The content of ``config/rates.yaml``."""

    response_fill: float = Field(gt=0, le=1, description="Share of max_new_tokens that is used.")
    characters_per_token: float = Field(gt=0, description="Characters of a token.")
    measured: dict[str, MeasuredRate] = Field(description="By model.")
    roofline: Roofline = Field(description="For models that were not measured.")
    parameters: dict[str, float] = Field(description="Billions of parameters, by model.")
    judges: dict[str, Price] = Field(description="By name of an endpoint's model.")
    judge_instructions: int = Field(ge=0, description="Tokens of a judge's instructions.")
    judge_verdict: int = Field(ge=0, description="Tokens of a verdict.")
    allocation_hours: float = Field(gt=0, description="Hours that an allocation should work.")
    cpu: CpuRates = Field(description="CPU seconds of nodes.")


class ModelSpeed(NamedTuple):
    """Speed of one copy of a model.

    Attributes
    ----------
    generate, read
        Tokens per second.
    load_seconds
        Seconds to load it.
    source
        Where these rates are from.
    is_measured
        Whether both rates of tokens were measured.
    """

    generate: float
    read: float
    load_seconds: float
    source: str
    is_measured: bool = False


@cache
def load_rates(path: Path = PATH) -> Rates:
    """Read a file of rates.

    Raises
    ------
    RatesError
        One line per problem.
    """
    try:
        data = read_yaml(path, str(path))
        return Rates.model_validate(data)
    except YamlError as error:
        raise RatesError(str(error)) from None
    except ValidationError as error:
        raise RatesError("\n".join(explain(str(path), error, Rates, data))) from None


def parameters(name: str, row: ModelRow, rates: Rates) -> float:
    """Return the number of parameters; 18 L h^2 where the file of rates does not know the model.

    # ASSUME: attention, a gated feed-forward layer of the usual width and the embeddings come to
    # about 18 h^2 per block in the models of the table.
    """
    known = rates.parameters.get(name)
    return 1e9 * known if known else 18.0 * row.n_layers * row.hidden_size**2


def speed(name: str, row: ModelRow, rates: Rates) -> ModelSpeed:
    """Return how fast one copy of a model is, and which of its rates were measured."""
    reckoned = _roofline(name, row, rates) if row.gpus else _scaled(name, row, rates)
    if (found := rates.measured.get(name)) is None:
        return reckoned
    known = {key: rate for key, rate in found.model_dump().items() if rate is not None}
    others = [key.removesuffix("_seconds") for key in MeasuredRate.model_fields if key not in known]
    rest = f"; {' and '.join(others)}: {reckoned.source}" if others else ""
    is_measured = not {"generate", "read"} & set(others)
    return reckoned._replace(**known, source=f"measured{rest}", is_measured=is_measured)


def _roofline(name: str, row: ModelRow, rates: Rates) -> ModelSpeed:
    """Return the speed of a model on its GPUs."""
    size, line = parameters(name, row, rates), rates.roofline
    # Blocks on several GPUs work one after another, so their speed is that of one GPU.
    step = _BYTES_PER_PARAMETER * size / (line.bandwidth * line.bandwidth_share)
    return ModelSpeed(
        generate=line.rows / (step + line.step_seconds),
        read=line.arithmetic * line.arithmetic_share / (_FLOP_PER_PARAMETER * size),
        load_seconds=60 + _BYTES_PER_PARAMETER * size / line.load_bytes,
        source=f"roofline of {row.gpus} x {line.gpu}",
    )


def _scaled(name: str, row: ModelRow, rates: Rates) -> ModelSpeed:
    """Return the speed of a model without GPU: a measured one's, in proportion to its size."""
    base = rates.measured["smollm2_135m"]
    ratio = 0.135e9 / parameters(name, row, rates)
    return ModelSpeed(
        (base.generate or 0.0) * ratio,
        (base.read or 0.0) * ratio,
        (base.load_seconds or 0.0) / ratio,
        "scaled from smollm2_135m",
    )
