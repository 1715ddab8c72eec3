"""Small test files in external formats."""

from collections.abc import Callable
from typing import Any

from personae.personas.library import Library

Make = Callable[..., Library]

BAKER: dict[str, Any] = {
    "instruction": [{"pos": "You are a baker."}, {"pos": "Act as a baker {of bread}."}],
    "questions": ["What rises?"],
    "eval_prompt": "Does it display the role: **baker**. A baker is a person of the small hours "
    "who bakes.\n\nPrompt:\n{question}\n\nAnswer:\n{answer}\n\nReply 0 to 3.",
}
FRUGAL: dict[str, Any] = {
    "instruction": [{"pos": "Spend little.", "neg": "Spend much."}],
    "questions": ["A?", "B?", "C?"],
    "eval_prompt": "Does it display the trait: **frugal**. This means the answer saves.\n\n"
    "[Q] {question} [A] {answer}\n\nReply REFUSAL or 0 to 100.",
}
TALK: dict[str, Any] = {
    "conversation": [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
    ],
    "domain": "coding",
    "topic": "A greeting",
}
SHARED = [
    {"from": "human", "value": "Hello."},
    {"from": "gpt", "value": "Good day."},
]
