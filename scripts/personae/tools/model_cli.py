"""``personae serve``, ``chat``, ``steer`` and ``project``: a model with a study's interventions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personae.base.errors import PersonaeError

if TYPE_CHECKING:
    from personae.api.requests import Message
    from personae.inference.client import EngineClient
    from personae.inference.server.presets import Presets, Reading
    from personae.inference.turn_projections import TurnProjections
    from personae.tools.model_conversation import Conversation

Model = Annotated[str, typer.Argument(help="Name in config/models.tsv; its weights are prepared.")]
Study = Annotated[str | None, typer.Option(help="Study, by name or folder (usual: demo).")]
Cap = Annotated[str | None, typer.Option(metavar="STUDY", help="Cap as this study chose.")]
Steer = Annotated[
    str | None,
    typer.Option(metavar="NAME=COEFFICIENT@LAYER", help="Steer along a trait or a vector."),
]
Vector = Annotated[
    Path | None, typer.Option(help="File of vectors (.pt, .safetensors, .gguf) for --steer.")
]
Tokens = Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the answers.")]


def serve(
    model: Model,
    study: Study = None,
    cap: Cap = None,
    steer: Steer = None,
    vector: Vector = None,
    host: Annotated[str, typer.Option(help="Address; others than this machine need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further name by which clients address the server.")
    ] = None,
) -> None:
    """Serve a steered or capped model to chat clients, with a chat page at /.

    The interventions are the default of the model's name; clients choose others by names such as
    smollm2_135m+poetic@22x2 or smollm2_135m+cap20-24p25, or send their own with a request.

    Example: personae serve smollm2_135m --cap demo
    """
    from personae.inference.server.__main__ import main as run_server
    from personae.inference.server.access import is_loopback
    from personae.tools.model_choice import engine_spec, find_model, presets_of

    row, folder = find_model(model)
    presets = presets_of(row, Path(), study=study, cap=cap, steer=steer, vector=vector)
    shown = f"[{host}]" if ":" in host else host
    print(f"{model}: http://{shown}:{port}/ (chat page), http://{shown}:{port}/v1 (OpenAI's API)")
    print(
        f"default: {presets.default or 'plain'}; presets: {', '.join(presets.offered)}", flush=True
    )
    arguments = ["--spec", engine_spec(folder).model_dump_json(), "--host", host]
    arguments += ["--port", str(port), *(["--open"] if is_loopback(host) else [])]
    for name in allow_host or []:
        arguments += ["--allow-host", name]
    run_server(arguments, presets)


def chat(
    model: Model,
    study: Study = None,
    cap: Cap = None,
    steer: Steer = None,
    vector: Vector = None,
    max_tokens: Tokens = 200,
    seed: Seed = 0,
) -> None:
    """Talk to a steered or capped model in the terminal.

    After each answer come its projections. /plain and /default switch the interventions off and on,
    /use SETTING takes others (/use poetic@22x2), /new starts a new conversation; an empty line
    ends.

    Example: personae chat smollm2_135m --cap demo
    """
    from personae.api.requests import Sampling
    from personae.inference.client import connect
    from personae.tools.model_choice import engine_spec, find_model, presets_of
    from personae.tools.model_conversation import Conversation

    row, folder = find_model(model)
    presets = presets_of(row, Path(), study=study, cap=cap, steer=steer, vector=vector)
    settings = presets.default
    with connect(engine_spec(folder), _tell) as client:
        talk = Conversation(client, presets)
        while line := _read(f"[{settings or 'plain'}] you: "):
            word, _, rest = line.partition(" ")
            if word == "/new":
                talk = Conversation(client, presets)
            elif word in ("/plain", "/default", "/use"):
                settings = _switched(word, rest, presets, settings)
            else:
                try:
                    said = talk.say(line, settings, Sampling(max_new_tokens=max_tokens), seed)
                except PersonaeError as error:
                    _tell(str(error))
                    continue
                print(f"{model}: {said}")
                _tell(_last_line(client, talk, presets))


def steer_once(
    model: Model,
    prompt: Annotated[str, typer.Argument(help="The user's message.")],
    study: Study = None,
    cap: Cap = None,
    steer: Steer = None,
    vector: Vector = None,
    max_tokens: Tokens = 100,
    seed: Seed = 0,
) -> None:
    """Print the answers to one prompt, plain and steered or capped, with their projections.

    Example: personae steer smollm2_135m "Describe the sea." --steer poetic=2
    """
    from personae.api.requests import Sampling
    from personae.inference.client import connect
    from personae.tools.model_choice import engine_spec, find_model, presets_of
    from personae.tools.model_conversation import Conversation

    if not (cap or steer):
        raise PersonaeError("steer: give --steer NAME=COEFFICIENT@LAYER or --cap STUDY")
    row, folder = find_model(model)
    presets = presets_of(row, Path(), study=study, cap=cap, steer=steer, vector=vector)
    with connect(engine_spec(folder), _tell) as client:
        for settings in ("", presets.default):
            talk = Conversation(client, presets)
            said = talk.say(prompt, settings, Sampling(max_new_tokens=max_tokens), seed)
            print(f"=== {settings or 'plain'}\n{said}\n{_last_line(client, talk, presets)}")


def project_file(
    file: Annotated[Path, typer.Argument(help="JSON or YAML: a list of messages (role, content).")],
    model: Annotated[str, typer.Option(help="Name in config/models.tsv.")] = "smollm2_135m",
    study: Study = None,
    tokens: Annotated[bool, typer.Option(help="Print every token's projection, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Project the assistant's turns of a transcript on the axis and the trait vectors.

    A turn below the floor of the study's cap is marked: the cap would have acted on it. Where the
    study monitored traits, the prompt before each turn is held against its alarms.

    Example: personae project talk.json --study demo --tokens
    """
    from personae.inference.client import connect
    from personae.tools.model_choice import engine_spec, find_model, presets_of, results_folder
    from personae.tools.model_conversation import project
    from personae.tools.prompt_alarms import alarm_line, project_prompts, read_alarms

    messages = _messages(file)
    row, folder = find_model(model)
    readings = presets_of(row, Path(), study=study).readings
    alarms = read_alarms(results_folder(study, row.name))
    with connect(engine_spec(folder), _tell) as client:
        turns = project(client, messages, readings, per_token=tokens)
        prompts = project_prompts(client, messages, alarms)
    if as_json:
        about = {name: {"layer": r.layer, "threshold": r.threshold} for name, r in readings.items()}
        made = [{**t._asdict(), "prompt": p} for t, p in zip(turns, prompts, strict=True)]
        said = {name: alarm.about() for name, alarm in alarms.items()}
        print(json.dumps({"directions": about, "alarms": said, "turns": made}))
        return
    for number, (turn, prompt) in enumerate(zip(turns, prompts, strict=True)):
        if prompt:
            print(f"prompt {number}: {alarm_line(prompt, alarms)}")
        print(f"turn {number}: {_line(turn, readings)}")
        for place, text in enumerate(turn.tokens if tokens else []):
            values = "  ".join(f"{turn.by_token[name][place]:9.2f}" for name in readings)
            print(f"    {values}  {text!r}")


def _last_line(client: EngineClient, talk: Conversation, presets: Presets) -> str:
    """Return the projections of the last answer; empty without directions."""
    from personae.tools.model_conversation import project

    if not presets.readings:
        return ""
    return _line(project(client, talk.messages, presets.readings)[-1], presets.readings)


def _line(turn: TurnProjections, readings: dict[str, Reading]) -> str:
    """Return a turn's projections in words."""
    parts = []
    for name, value in turn.mean.items():
        floor = readings[name].threshold
        against = "" if floor is None else f", floor {floor:.1f}"
        below = ": BELOW" if floor is not None and value < floor else ""
        parts.append(f"{name} {value:.1f} (layer {readings[name].layer}{against}{below})")
    return "; ".join(parts)


def _messages(path: Path) -> list[Message]:
    """Return the messages of a file.

    Raises
    ------
    PersonaeError
        Naming the file, if it holds no conversation.
    """
    from pydantic import TypeAdapter, ValidationError

    from personae.api.requests import Message
    from personae.base.strict_yaml import read_yaml

    content = read_yaml(path, str(path))
    listed = content.get("messages") if isinstance(content, dict) else content
    try:
        return TypeAdapter(list[Message]).validate_python(listed)
    except ValidationError:
        raise PersonaeError(
            f"{path}: not a conversation; give a list of messages with role and content"
        ) from None


def _switched(word: str, rest: str, presets: Presets, before: str) -> str:
    """Return the settings that a line asks for; those before, where they do not exist."""
    wanted = {"/plain": "", "/default": presets.default}.get(word, rest.strip())
    try:
        presets.interventions(wanted)
    except PersonaeError as error:
        _tell(str(error))
        return before
    return wanted


def _read(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
