"""Published vectors and capping configurations, into the workflow's own tables and back."""

from personae.published.caps import Cap, read_caps
from personae.published.read import Family, read_families
from personae.published.tables import (
    Own,
    comparison,
    direction_table,
    floor_table,
    role_table,
    trait_table,
)
from personae.published.write import write_vectors
from personae.published.write_caps import write_caps

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
