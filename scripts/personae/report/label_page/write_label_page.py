"""Write the page for labelling: one file, no network, keyboard-driven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from personae.base.atomic_files import replace_atomically
from personae.data.table_values import SCALES

_TEMPLATE: Final = Path(__file__).parent / "label_page.html"
_ASKED: Final = {
    "role_adherence": "How fully does the answer play the role? 0 refuses, 1 is itself and answers "
    "out of role, 2 an AI with attributes of the role, 3 fully in role.",
    "trait": "How strongly does the answer show the trait? 0 not at all, 4 as strongly as can be.",
    "coherence": "Does the answer make sense and fit the question? 0 broken text, 4 fluent.",
}
_STEPS: Final = 4  # scales of 0-100 are labelled in steps of 25


def write_label_page(sample: pd.DataFrame, study: str, path: Path) -> None:
    """Write the page of a sample; it shows neither arm nor judge.

    Scales of 0-100 are asked in five steps. The page keeps its labels in the browser until they are
    saved as ``labels.json``.
    """
    items = [_item(row) for row in sample.itertuples()]
    data = json.dumps({"study": study, "items": items}, ensure_ascii=False)
    # A response may hold "</script>", which would end the block of data.
    safe = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    page = _TEMPLATE.read_text("utf-8").replace("/*DATA*/null", safe)
    with replace_atomically(path) as file:
        file.write_text(page, "utf-8")


def _item(row: Any) -> dict[str, Any]:
    top = SCALES[row.rubric][1]
    steps = int(top) if top <= _STEPS else _STEPS
    about = f" ({str(row.target).replace('_', ' ')})" if row.target else ""
    return {
        "item": row.item,
        "question": row.question,
        "response": row.response,
        "asked": _ASKED[row.rubric],
        "about": about,
        "steps": steps,
        "unit": top / steps,
    }
