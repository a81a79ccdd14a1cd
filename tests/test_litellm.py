"""What of ``budget_proxy.litellm`` needs no LiteLLM; the rest is in tests/frameworks."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from budget_proxy import litellm
from budget_proxy.assemble import Engine
from budget_proxy.errors import ConfigError
from budget_proxy.litellm.arguments import body_of, headers_of, without_ours, written
from budget_proxy.litellm.opened import Opened
from budget_proxy.proxy.app import create_app
from budget_proxy.types import Body

SECRET = "sk-not-for-bodies"
HELLO = {"role": "user", "content": "hello"}


class City(BaseModel):
    """An answer's form, as programs give it."""

    name: str


class Ended:
    """A trip, of which only the end is looked at."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def arguments(**given: Any) -> dict[str, Any]:
    """A call's arguments, with controls of LiteLLM's among them."""
    return {
        "model": "openai/gpt-5.4", "messages": [HELLO], "api_key": SECRET, "api_base": "http://x",
        "metadata": {"trace": object()}, "temperature": 0.5, "stop": None, **given,
    }  # fmt: skip


def test_importing_it_loads_nothing_of_litellms() -> None:
    """Four seconds are spent when the first name is asked for, not before."""
    code = "import sys; from budget_proxy import litellm; print('litellm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["completion", "callback", "BudgetCallback", "embedding"])
def test_where_litellm_is_missing_every_name_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Ours and LiteLLM's own alike."""
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(ImportError, match="pip install litellm"):
        getattr(litellm, name)


def test_a_proxy_that_is_to_use_litellm_does_not_start_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says so at once, and not at the first call."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with (
        Engine.open("memory:", litellm_models=("gemini/*",)) as engine,
        pytest.raises(ConfigError, match="pip install litellm"),
    ):
        create_app(engine)


def test_models_for_litellm_are_named_in_a_variable_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As other lists of names are."""
    monkeypatch.setenv("BUDGET_PROXY_LITELLM_MODELS", "gemini/*, mistral/*")
    with Engine.open("memory:") as engine:
        assert engine.settings.litellm_models == ("gemini/*", "mistral/*")


def test_a_body_holds_chat_parameters_and_nothing_of_litellms_own() -> None:
    """No key, no base URL, no metadata; the model as its provider calls it; no nulls."""
    body = body_of(arguments(max_tokens=9, budget={"cap": 5}), "gpt-5.4")
    assert body == {
        "model": "gpt-5.4", "messages": [HELLO], "temperature": 0.5, "max_tokens": 9,
        "budget": {"cap": 5},
    }  # fmt: skip
    assert SECRET not in json.dumps(body)


def test_a_form_given_as_a_class_stands_in_the_body_as_its_schema() -> None:
    """As it would on the wire, so that it counts as a prescribed form."""
    form = body_of(arguments(response_format=City), "m")["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["required"] == ["name"]


def test_only_what_changed_in_the_body_is_written_into_the_arguments() -> None:
    """All other arguments are the caller's own objects, and the caller's are not touched."""
    given = arguments(budget=7, response_format=City, tools=({"type": "function"},))
    before = body_of(given, "gpt-5.4")
    out = written(given, before, {**_stripped(before), "max_tokens": 64})
    assert out.pop("max_tokens") == 64
    assert out == {name: value for name, value in given.items() if name != "budget"}
    assert all(out[name] is given[name] for name in ("messages", "tools", "response_format"))
    assert given["budget"] == 7


def test_a_callers_cap_is_lowered_under_its_own_name() -> None:
    """LiteLLM maps both names; the one that was given is kept."""
    given = arguments(max_completion_tokens=500)
    before = body_of(given, "m")
    out = written(given, before, {**before, "max_completion_tokens": 200})
    assert out["max_completion_tokens"] == 200
    assert "max_tokens" not in out


@pytest.mark.parametrize("added", [0, 1])
def test_messages_that_were_not_changed_stay_the_callers_objects(added: int) -> None:
    """A note in one message, or a message for the note, leaves the others as they are."""

    class Answered(BaseModel):
        role: str = "assistant"
        content: str = "hi"

    answer, system = Answered(), {"role": "system", "content": "Be brief."}
    given = arguments(messages=[system, answer, HELLO])
    before = body_of(given, "m")
    note = {"role": "system", "content": "Be brief. About 100 tokens."}
    after = [note, *before["messages"][1 - added :]]
    out = written(given, before, {**before, "messages": after})["messages"]
    assert out[0] == note
    assert out[-2] is answer
    assert out[-1] is HELLO
    assert len(out) == 3 + added
    assert given["messages"] == [system, answer, HELLO]


def test_budget_headers_are_read_and_removed() -> None:
    """From either argument for headers; other headers stay."""
    given = arguments(
        extra_headers={"X-Budget-Agent": "a", "x": "y"}, headers={"x-budget-cap": "9"}
    )
    assert headers_of(given) == [("X-Budget-Agent", "a"), ("x-budget-cap", "9")]
    out = without_ours(given)
    assert (out["extra_headers"], out["headers"]) == ({"x": "y"}, {})
    assert given["extra_headers"]["X-Budget-Agent"] == "a"


def test_an_open_call_is_taken_once() -> None:
    """Whoever tells first how it ended ends it."""
    opened, trip = Opened(), Ended()
    opened.put("1", trip, 1)
    assert opened.take("1") is trip
    assert opened.take("1") is None
    assert trip.closed == 0


def test_calls_whose_end_is_never_told_do_not_pile_up() -> None:
    """The oldest fall out, and are closed, which settles them as cancelled."""
    opened = Opened(most=3)
    trips = [Ended() for _ in range(5)]
    for number, trip in enumerate(trips):
        opened.put(number, trip, 1)
    assert [trip.closed for trip in trips] == [1, 1, 0, 0, 0]
    assert len(opened) == 3


def test_long_calls_whose_end_is_never_told_do_not_pile_up() -> None:
    """The oldest fall out until the sizes fit; one that alone is too large is kept."""
    opened = Opened(room=100)
    trips = [Ended() for _ in range(4)]
    closed = []
    for number, size in enumerate([40, 40, 40, 101]):
        opened.put(number, trips[number], size)
        closed.append(sum(trip.closed for trip in trips))
    assert closed == [0, 0, 1, 3]
    assert opened.take(3) is trips[3]
    opened.put("some", Ended(), 60)
    opened.put("more", Ended(), 40)
    assert len(opened) == 2


def test_a_call_that_is_open_for_too_long_is_closed_when_another_ends() -> None:
    """It does not wait for one that begins; the one that ends was told of, however old."""
    now = 0.0
    opened = Opened(seconds=60.0, clock=lambda: now)
    old, told = Ended(), Ended()
    opened.put("old", old, 1)
    opened.put("told", told, 1)
    now = 61.0
    assert opened.take("told") is told
    assert (old.closed, told.closed, len(opened)) == (1, 0, 0)


def test_a_call_that_is_open_for_too_long_is_closed_by_the_next() -> None:
    """Age counts as well as number."""
    now = 0.0
    opened = Opened(seconds=60.0, clock=lambda: now)
    old, young = Ended(), Ended()
    opened.put("old", old, 1)
    now = 61.0
    opened.put("young", young, 1)
    assert (old.closed, young.closed, len(opened)) == (1, 0, 1)


def test_a_second_attempt_under_one_id_closes_the_first() -> None:
    """Its end was not told, and cannot be any more."""
    opened, first, second = Opened(), Ended(), Ended()
    opened.put("1", first, 1)
    opened.put("1", second, 1)
    assert (first.closed, second.closed) == (1, 0)
    assert opened.take("1") is second


def test_at_the_end_all_are_closed() -> None:
    """So that they settle before the history is flushed."""
    opened, trip = Opened(), Ended()
    opened.put("1", trip, 1)
    opened.close()
    opened.close()
    assert (trip.closed, len(opened)) == (1, 0)


def _stripped(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "budget"}
