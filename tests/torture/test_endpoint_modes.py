"""Every way in which endpoints answer that `make torture` knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from .endpoint_modes import MODES, Mode, check_mode


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_an_endpoint_is_understood(mode: Mode, tmp_path: Path) -> None:
    assert check_mode(mode, tmp_path) == []
