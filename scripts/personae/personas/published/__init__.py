"""Published vectors and capping configurations, into the workflow's own tables and back."""

from personae.personas.published.capping_files import Cap, read_caps
from personae.personas.published.own_tables import (
    Own,
    comparison,
    direction_table,
    floor_table,
    role_table,
    trait_table,
)
from personae.personas.published.vector_files import Family, read_families
from personae.personas.published.write_caps import write_caps
from personae.personas.published.write_vectors import write_vectors

__all__ = [
    "Cap",
    "Family",
    "Own",
    "comparison",
    "direction_table",
    "floor_table",
    "read_caps",
    "read_families",
    "role_table",
    "trait_table",
    "write_caps",
    "write_vectors",
]
