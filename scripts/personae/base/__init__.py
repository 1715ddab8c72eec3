"""Errors, atomic files, strict YAML, validation messages, field types, process identity."""
