"""The library card: sizes of the persona library and results of its text checks."""

from personae.personas.library.text_checks import CHECKS, TextProblem, check_texts
from personae.report.library_card.card_table import card_rows

__all__ = ["CHECKS", "TextProblem", "card_rows", "check_texts"]
