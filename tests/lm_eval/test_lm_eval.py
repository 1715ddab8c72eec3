"""lm-eval itself, from its own environment, asks the model server and gets the engine's numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from personae.api.requests import EngineSpec
from personae.tools.lm_eval_run import PROGRAM, await_server, free_port, lm_eval_command
from tests.unit.inference.engine.families import load_tiny, prepare_tiny

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (PROJECT / PROGRAM).is_file(), reason="lm-eval is not installed; run `make test-all`"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared tiny model with a chat template."""
    return prepare_tiny(tmp_path_factory.mktemp("lm_eval"))


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Serve it on a port."""
    port = free_port()
    spec = EngineSpec(model=str(folder), dtype="float32", device="cpu", threads=1)
    command = [sys.executable, "-m", "personae.inference.server", "--open", "--port", str(port)]
    server = subprocess.Popen([*command, "--spec", spec.model_dump_json()], cwd=PROJECT)
    address = f"http://127.0.0.1:{port}"
    try:
        await_server(server, address)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def samples(url: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run both tasks on a few items, and return lm-eval's samples by task."""
    out = tmp_path_factory.mktemp("out")
    more = ["--limit", "3", "--log_samples", "--output_path", str(out)]
    command = lm_eval_command(
        PROJECT / PROGRAM, url, "tiny", folder / "weights", "personae_choices,personae_exact", more
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(out / "hub")}
    subprocess.run(command, cwd=PROJECT, env=offline, check=True, timeout=300)
    return {
        name: [
            json.loads(line)
            for path in out.rglob(f"samples_{name}_*.jsonl")
            for line in path.read_text().splitlines()
        ]
        for name in ("personae_choices", "personae_exact")
    }


def test_log_likelihoods_are_those_of_a_plain_forward(samples: dict[str, Any]) -> None:
    tiny = load_tiny("llama3")
    found = samples["personae_choices"]
    assert len(found) == 3
    for sample in found:
        arguments = sample["arguments"].values()
        for asked, (answer,) in zip(arguments, sample["resps"], strict=True):
            context, choice = asked["arg_0"], asked["arg_1"]
            # lm-eval counts white space at the end of the context to the choice.
            before = tiny.tokenizer(context.rstrip(), add_special_tokens=False)["input_ids"]
            ids = tiny.tokenizer(context + choice, add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                logits = tiny.model(input_ids=torch.tensor([ids])).logits[0, :-1]
            scores = logits.float().log_softmax(-1)
            targets = torch.tensor(ids[1:])[:, None]
            expected = float(scores.gather(1, targets)[len(before) - 1 :].sum())
            assert float(answer[0]) == pytest.approx(expected, abs=1e-3)
            greedy = bool((scores.argmax(1) == targets[:, 0])[len(before) - 1 :].all())
            assert str(answer[1]) == str(greedy)


def test_responses_are_checked_by_the_rules_of_a_study(samples: dict[str, Any]) -> None:
    found = samples["personae_exact"]
    assert len(found) == 3
    assert all(sample["exact"] in (0.0, 1.0) for sample in found)
    assert all(isinstance(sample["resps"][0][0], str) for sample in found)
