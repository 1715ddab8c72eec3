"""Keys as files and secrets hold them: sent clean or refused, and shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.chat_answer import Failure
from personae.endpoints.keys import find_key, scrub
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .conftest import KEY
from .misbehaving import Endpoint, Reply, completion, failure

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]


def behave(body: dict[str, Any], before: int) -> Reply:
    """Answer everything."""
    return completion("fine")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", " ", "\t\n"])
def test_a_line_break_behind_a_key_is_no_part_of_it(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY + ending)
    endpoint = serve(behave)
    assert texts(ask(runtime(endpoint.url, attempts=1), ["a"])) == ["fine"]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_file_with_line_breaks_of_windows_holds_keys_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PLANTED_KEY")
    (tmp_path / ".env").write_bytes(f"OTHER=x\r\nPLANTED_KEY='{KEY}\r'\r\n".encode())
    assert find_key("PLANTED_KEY", tmp_path) == KEY
    monkeypatch.setenv("PLANTED_KEY", " \n")
    assert find_key("PLANTED_KEY", tmp_path) == KEY
    assert find_key("NOTHING_OF_THE_KIND", tmp_path) is None


@pytest.mark.parametrize("inside", ["\n", "\r", "\x7f", "\t", "é", "\u200b", "“"])
def test_a_key_that_no_header_can_carry_is_refused_in_one_line_that_does_not_show_it(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setenv("PLANTED_KEY", f"planted{inside}7f3a91")
    endpoint = serve(behave)
    with pytest.raises(PersonaeError, match="PLANTED_KEY: the key holds a character") as error:
        ask(runtime(endpoint.url), ["a"])
    assert "\n" not in str(error.value)
    assert "planted" not in str(error.value)
    assert "7f3a91" not in str(error.value)
    assert endpoint.asked.total() == 0


@pytest.mark.parametrize("before", range(170, 200, 4))
@pytest.mark.parametrize(
    "make",
    [
        lambda said: Reply(200, f"<p>{said}".encode()),
        lambda said: completion(said, finish="error"),
        lambda said: failure(500, said),
        lambda said: failure(400, said),
    ],
    ids=["no JSON", "broken off", "500", "400"],
)
def test_a_key_that_a_cut_goes_through_shows_no_beginning(
    serve: Serve, runtime: Make, make: Callable[[str], Reply], before: int
) -> None:
    endpoint = serve(lambda body, _: make("x" * before + KEY + "y" * 300))
    (outcome,) = ask(runtime(endpoint.url, attempts=1), ["a"])
    assert isinstance(outcome, Failure)
    assert "xx" in outcome.detail
    assert KEY[:4] not in outcome.detail


def test_a_key_in_any_field_of_an_answer_is_taken_out(serve: Serve, runtime: Make) -> None:
    reply = completion(f"I am {KEY}", finish=f"stop {KEY}")
    endpoint = serve(
        lambda body, _: Reply(200, reply.body.replace(b'"judge"', f'"{KEY}"'.encode()))
    )
    (answer,) = ask(runtime(endpoint.url), ["a"])
    assert KEY not in repr(answer)
    assert "I am [key]" in repr(answer)


def test_of_two_keys_that_begin_alike_no_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (KEY, f"{KEY}-longer"):
        monkeypatch.setenv("PLANTED_KEY", key)
        assert find_key("PLANTED_KEY") == key
    assert scrub(f"a {KEY}-longer b {KEY} c") == "a [key] b [key] c"
