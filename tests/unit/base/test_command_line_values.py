"""Values after --config have the types that they have in a file."""

from __future__ import annotations

from typing import Any

import pytest

from personae.base.strict_yaml import restore_types


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"roles": {"min_fully": "3"}}, {"roles": {"min_fully": 3, "names": ["cat"]}, "seed": 1}),
        ({"seed": 7}, {"roles": {"min_fully": 2, "names": ["cat"]}, "seed": 7}),
        (
            {"roles": {"names": ["cat", "true"], "min_fully": "null"}},
            {"roles": {"min_fully": None, "names": ["cat", True]}, "seed": 1},
        ),
        (
            {"new": {"deep": [{"x": "0.5"}, ""]}},
            {
                "roles": {"min_fully": 2, "names": ["cat"]},
                "seed": 1,
                "new": {"deep": [{"x": 0.5}, ""]},
            },
        ),
    ],
    ids=["nested number", "top level", "list and null", "new section"],
)
def test_values_get_their_types_and_the_rest_stays(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    config: dict[str, Any] = {"roles": {"min_fully": 2, "names": ["cat"]}, "seed": 1}
    restore_types(config, given)
    assert config == expected
