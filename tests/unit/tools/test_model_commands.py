"""``personae chat``: its switches."""

from __future__ import annotations

import numpy as np
import pytest

from personae.inference.server.presets import PLAIN, Presets
from personae.science.capping_arms import vector_key
from personae.tools.model_cli import _switched


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        (("/plain", ""), ""),
        (("/default", ""), "poetic@4x1"),
        (("/use", "poetic@4x2 "), "poetic@4x2"),
        (("/use", "poetical@4x2"), "poetic@4x3"),
    ],
)
def test_a_switch_takes_only_settings_that_exist(
    line: tuple[str, str], settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    presets = Presets({vector_key("poetic", 4): np.ones(8, np.float32)}, [PLAIN], "poetic@4x1")
    assert _switched(*line, presets, "poetic@4x3") == settings
    assert ("no setting" in capsys.readouterr().err) == (settings == "poetic@4x3")
