"""The root of the errors that a user can mend: each is one line with place, value and remedy."""


class PersonaeError(ValueError):
    """A foreseen error; its text is the one line that the user reads."""
