"""A page on which people label a blinded sample of responses, and what follows from it."""
