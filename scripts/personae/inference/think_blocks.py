"""Prompts of models that think before they answer: the think block is closed."""

from __future__ import annotations

import re

_OPENED = re.compile(r"(<(?:\w+:)?(?:think|thinking|thought|reasoning)>|\[THINK\])\s*$")


def without_thinking(prompt: str, template: str) -> str:
    """Return a prompt with the think block closed that it opens, or that its model would open.

    # ASSUME: a model whose template has no switch for thinking (R1 and its distillations, QwQ) is
    # given an empty think block, as models with a switch are when it is off: its thoughts would be
    # taken for the response. Such a template opens the block itself, or cuts it off old answers.
    """
    if found := _OPENED.search(prompt):
        closing = found[1].replace("<", "</").replace("[", "[/")
        return f"{prompt[: found.end(1)]}\n\n{closing}\n\n"
    switched = "enable_thinking" in template or prompt.rstrip().endswith("</think>")
    if "split('</think>')" in template.replace('"', "'") and not switched:
        return f"{prompt}<think>\n\n</think>\n\n"
    return prompt
