"""Render chats with a model's chat template and count tokens; needs only the tokenizer."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer

from personae.api.rollout import chat
from personae.base.errors import PersonaeError
from personae.data.model_table import read_models
from personae.inference.chat_templates import render_prompt

_TABLE = "config/models.tsv"


class ChatRenderer:
    """Renders chats with the chat template of one model.

    Parameters
    ----------
    model
        Name of a prepared model, or a folder with a tokenizer.
    root
        Project root.

    Raises
    ------
    PersonaeError
        If neither exists.
    """

    def __init__(self, model: str, root: Path) -> None:
        prepared = root / "results/models" / model / "weights"
        folder = prepared if prepared.is_dir() else Path(model)
        if not (folder / "tokenizer_config.json").is_file():
            manifest = f"results/models/{model}/manifest.json"
            raise PersonaeError(
                f"{model}: neither a prepared model nor a folder with a tokenizer; "
                f"prepare it with: snakemake --cores 1 {manifest}"
            )
        table = read_models(root / _TABLE, _TABLE)
        self.display_name = table[model].display_name if model in table else folder.name
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)

    def render(self, system: str | None, question: str) -> tuple[str, int, int]:
        """Return the rendered prompt and the token counts of the system prompt and of the whole.

        Special tokens are shown. The system message may be the template's default.
        """
        ids = render_prompt(self._tokenizer, chat(system, question))
        own = self._tokenizer(system or "", add_special_tokens=False)["input_ids"]
        return str(self._tokenizer.decode(ids, skip_special_tokens=False)), len(own), len(ids)
