"""The command ``personae``: help, errors of one line, exit status."""

from __future__ import annotations

import pytest

from personae.tools.cli import main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    names = ("library", "judge", "export", "estimate", "serve", "chat", "steer", "project")
    for command in names:
        assert command in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["libary"], "No such command 'libary'. Did you mean 'library'?; see"),
        (["library", "list", "rolls"], "'rolls' is no part; give one of roles"),
        (["export", "only"], "Missing argument 'out'"),
        (["library", "show", "cat", "--prompt", "one"], "Invalid value for '--prompt'"),
    ],
)
def test_a_command_that_is_not_understood_ends_with_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_an_error_is_one_line_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "config/nowhere.yaml"]) == 1
    errors = capsys.readouterr().err
    assert "config/nowhere.yaml" in errors
    assert len(errors.splitlines()) == 1
