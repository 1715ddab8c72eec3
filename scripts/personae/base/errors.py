"""Base class of errors that a user can correct: one line with place, value and remedy."""


class PersonaeError(ValueError):
    """An expected error; its message is the one line shown to the user."""
