"""Digests of a configuration."""

from personae.workflow.provenance import config_digest


def test_the_order_of_keys_does_not_change_a_config_digest() -> None:
    assert config_digest({"a": 1, "b": [2]}) == config_digest({"b": [2], "a": 1})
    assert config_digest({"a": 1}) != config_digest({"a": 2})
