"""A study of every stage on a tiny random model, judged at an endpoint that counts requests."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from personae.data.table_checksums import content_checksum

from ..unit.inference.engine import templates
from ..unit.inference.engine.families import VOCABULARY, make_tokenizer
from ..workflow.conftest import MINI, Project, copy_project

STUDY = "torture.yaml"
JUDGES = ("arbiter", "deputy")
RESULTS = Path("results") / "mini"
_LAYERS, _HIDDEN = 4, 64
_CELLS = {
    "name": "tiny", "display_name": "Tiny", "kind": "chat", "source": "folder",
    "n_layers": str(_LAYERS), "hidden_size": str(_HIDDEN), "middle_layer": "2",
    "capping_bands": "1-2", "gpus": "0", "gpu_mem_gb": "1", "mem_gb": "4", "license": "MIT",
}  # fmt: skip


@dataclass(frozen=True)
class TortureStudy:
    """A copy of the project with the study in it."""

    project: Project

    @property
    def results(self) -> Path:
        """The study's results."""
        return self.project.root / RESULTS

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of a plain run, as `make demo` has them."""
        return "--profile", "local", "--configfile", STUDY, "--cores", "2"

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Return the command line of a plain run and its environment."""
        return self.project.command(*self.arguments, *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the study and return what was said."""
        command, environment = self.command(*arguments)
        return subprocess.run(
            command,
            cwd=self.project.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )

    def contents(self) -> dict[str, str]:
        """Return the checksum of the content of every table, by its place in the results."""
        return {
            path.relative_to(self.results).as_posix(): content_checksum(path)
            for path in sorted(self.results.rglob("*.parquet"))
            if ".finished" not in path.parts
        }


def make_study(root: Path, judge: str) -> TortureStudy:
    """Copy the project to ``root``, with a tiny model and a study judged at an address."""
    project = copy_project(root)
    _tiny_model(root / "tiny")
    _add_model(root / "config" / "models.tsv", root / "tiny")
    study = yaml.safe_load((root / MINI).read_text(encoding="utf-8"))
    study |= {
        "models": ["tiny"],
        # Rows arrive a few at a time, so that a node can be killed with some of them there.
        "engine": {"max_batch_tokens": 2048, "dtype": "float32"},
        # Two of them, as offline judges would load a model in every judging node.
        "endpoints": {
            name: {"base_url": judge, "model": name, "key_variable": "JUDGE_KEY"} for name in JUDGES
        },
        "judging": {"primary": JUDGES[0], "second": JUDGES[1], "max_unscored": 0.5},
    }
    study["layer_sweep"]["layers"] = [1, 2]
    study["capping"]["bands"] = [[1, 2]]
    (root / ".env").write_text("JUDGE_KEY=planted-key\n", encoding="utf-8")
    (root / STUDY).write_text(yaml.safe_dump(study), encoding="utf-8")
    return TortureStudy(project)


def found_study(root: Path) -> TortureStudy:
    """Return the study that an earlier call of `make_study` left at ``root``."""
    return TortureStudy(Project(root))


def port_of(root: Path) -> int:
    """Return the port at which a study looks for its judge."""
    study = yaml.safe_load((root / STUDY).read_text(encoding="utf-8"))
    return urlsplit(study["endpoints"][JUDGES[0]]["base_url"]).port or 0


def _add_model(table: Path, folder: Path) -> None:
    """Add the row of the tiny model to the model table."""
    text = table.read_text(encoding="utf-8")
    columns = next(line for line in text.splitlines() if line[0] != "#").split("\t")
    cells = _CELLS | {"id": str(folder)}
    row = "\t".join(cells.get(column, "") for column in columns)
    table.write_text(f"{text}{row}\n", encoding="utf-8")


def _tiny_model(folder: Path) -> None:
    """Save a Llama of four layers with random weights and a tokenizer of single bytes."""
    set_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=_HIDDEN,
        intermediate_size=128,
        num_hidden_layers=_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16384,
        initializer_range=0.4,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=257,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    make_tokenizer(templates.CHATML_DEFAULT).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == _LAYERS
