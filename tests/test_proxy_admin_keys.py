"""``/v1/budget`` with virtual keys: who may ask what, and keys made and ended over HTTP."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.proxy.admin.openapi import PREFIX, document
from budget_proxy.proxy.admin.registry import ENDPOINTS
from budget_proxy.store import issuing
from budget_proxy.store.keys import ROLES, Role
from budget_proxy.types import CallRecord
from tests.command_line import answered, run_json
from tests.proxied import Answer, Running, running
from tests.test_proxy_admin_openapi import CHECKS

SCHEMA = schemathesis.openapi.from_dict(document(ENDPOINTS))
NEEDS: dict[tuple[str, str], Role] = {
    ("GET", "/report"): "approver", ("GET", "/efficiency"): "approver",
    ("GET", "/trends"): "approver", ("GET", "/projection"): "approver",
    ("GET", "/suggestions"): "approver", ("GET", "/alerts"): "approver",
    ("POST", "/alerts/{number}/ack"): "admin", ("POST", "/alerts/mute"): "admin",
    ("POST", "/alerts/unmute"): "admin", ("GET", "/calls"): "approver",
    ("GET", "/calls/{call_id}"): "approver", ("POST", "/predict"): "approver",
    ("GET", "/keys"): "admin", ("GET", "/keys/self"): "caller", ("GET", "/keys/{id}"): "admin",
    ("POST", "/keys"): "admin", ("POST", "/keys/{id}/rotate"): "admin",
    ("POST", "/keys/{id}/revoke"): "admin", ("GET", "/billing"): "approver",
    ("GET", "/limits"): "approver", ("GET", "/limits/check"): "approver",
    ("POST", "/limits/add"): "admin", ("POST", "/limits/{number}/remove"): "admin",
    ("POST", "/limits/{number}/set"): "admin", ("POST", "/limits/repair"): "admin",
    ("GET", "/runs"): "approver", ("GET", "/runs/{run}"): "approver",
    ("POST", "/runs/extend"): "admin",
}  # fmt: skip
"""Every endpoint, and the least role that may ask: one that is added has to be added here."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A proxy on a small history."""
    with running(tmp_path_factory.mktemp("admin"), Answer()) as proxy:
        proxy.engine.store.append([answered(number) for number in range(20)])
        yield proxy


@pytest.fixture(scope="module")
def tokens(proxied: Running) -> dict[Role, str]:
    """A key of each role."""
    store = proxied.engine.store
    return {r: issuing.create(store, f"the {r}", time.time(), role=r).secret for r in ROLES}


@pytest.fixture(scope="module", autouse=True)
def no_collection() -> Iterator[None]:
    """As in test_proxy_admin_openapi, for the same reason."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def ask(proxy: Running, method: str, path: str, token: str | None, body: Any = None) -> Any:
    """The reply to a question with a key."""
    headers = {} if token is None else {"x-api-key": token}
    return httpx.request(method, f"{proxy.url}{PREFIX}{path}", headers=headers, json=body)


def test_every_endpoint_has_the_role_that_was_meant() -> None:
    """Stated twice, so that a slip opens nothing."""
    assert {(one.method, one.path): one.needs for one in ENDPOINTS} == NEEDS


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_roles_are_asked_for(
    proxied: Running, tokens: dict[Role, str], method: str, path: str
) -> None:
    """Lower ones get a 403 that names what is needed; without a key it is a 401."""
    needed = NEEDS[method, path]
    where = path.replace("{number}", "1").replace("{call_id}", "c0").replace("{id}", "bk_none")
    where = where.replace("{run}", "ticket")
    body: dict[str, Any] | None = {} if method == "POST" else None
    for role in ROLES:
        reply = ask(proxied, method, where, tokens[role], body)
        if ROLES.index(role) < ROLES.index(needed):
            error = reply.json()["error"]
            assert (reply.status_code, error["type"]) == (403, "permission_error")
            assert f"the role {needed}" in error["message"]
        else:
            assert reply.status_code in {200, 400, 404}, reply.text
    for token in (None, "bk_none", "sk-own"):
        reply = ask(proxied, method, where, token, body)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert reply.json()["error"]["type"] == "authentication_error"


def test_what_is_not_there_tells_strangers_nothing(
    proxied: Running, tokens: dict[Role, str]
) -> None:
    """A 401 for every path of ours; the description is for whoever has a key."""
    for path in ("", "/nothing", "/openapi.json", "/keys/self/x"):
        assert ask(proxied, "GET", path, None).status_code == 401
    assert ask(proxied, "GET", "/nothing", tokens["caller"]).status_code == 404
    assert ask(proxied, "GET", "/openapi.json", tokens["caller"]).json() == document(ENDPOINTS)


def test_a_key_is_told_what_it_is_for(proxied: Running) -> None:
    """Its name, role, models and expiry; nobody else's, and no secret."""
    issued = issuing.create(
        proxied.engine.store, "Ann", time.time(), models=("gpt-5*",), seconds=3600.0
    )
    told = ask(proxied, "GET", "/keys/self", issued.secret).json()
    assert told["limits"] == []
    found = told["key"]
    assert (found["id"], found["name"], found["role"]) == (issued.key.id, "Ann", "caller")
    assert (found["models"], found["state"]) == (["gpt-5*"], "active")
    assert found["expires"] == issued.key.expires
    assert "secret" not in found
    reply = ask(proxied, "GET", "/keys/self?asker=bk_other", issued.secret)
    assert reply.status_code == 400


def test_a_key_is_told_its_limits_and_nobody_elses(proxied: Running) -> None:
    """Those that name it, and of those that name each key its own account."""
    store, now = proxied.engine.store, time.time()
    mine, other = (issuing.create(store, name, now) for name in ("Ann", "Bob"))
    made = [
        store.save_limit(limit)
        for limit in (
            Limit("tokens", 1_000, "day", (("key", mine.key.id),), created=now),
            Limit("tokens", 1_000, "day", (("key", other.key.id),), created=now),
            Limit("tokens", 1_000, "week", (("key", EACH),), created=now),
        )
    ]
    store.append([
        CallRecord(
            now, "openai.chat", "m", f"c-{one.key.id}", key=one.key.id, input_tokens=10,
            output_tokens=tokens,
        )
        for one, tokens in ((mine, 90), (other, 290))
    ])  # fmt: skip
    told = ask(proxied, "GET", "/keys/self", mine.secret).json()["limits"]
    for number in made:
        store.remove_limit(number)
    assert [one["id"] for one in told] == [made[0], made[2]]
    assert [[(a["part"], a["used"]) for a in one["accounts"]] for one in told] == [
        [("", 100)],
        [(mine.key.id, 100)],
    ]


def test_keys_are_made_rotated_and_ended_over_http(
    proxied: Running, tokens: dict[Role, str]
) -> None:
    """As on the command line, which lists and shows the same."""
    admin = tokens["admin"]
    body = {"name": "ci", "role": "approver", "models": ["m*"], "expires": "90d"}
    made = ask(proxied, "POST", "/keys", admin, body).json()
    id_, first = made["key"]["id"], made["secret"]
    assert made["key"]["expires"] == pytest.approx(time.time() + 90 * 86_400, abs=60)
    assert ask(proxied, "GET", "/report", first).status_code == 200
    again = ask(proxied, "POST", f"/keys/{id_}/rotate", admin, {"grace": "1h"}).json()
    for secret in (first, again["secret"]):
        assert ask(proxied, "GET", "/report", secret).status_code == 200
    url = proxied.engine.store.url
    assert ask(proxied, "GET", "/keys", admin).json() == run_json("keys", "list", "--store", url)
    shown = ask(proxied, "GET", f"/keys/{id_}", admin).json()
    assert shown == run_json("keys", "show", id_, "--store", url)
    assert shown["former_until"] == again["key"]["former_until"] is not None
    last = ask(proxied, "POST", f"/keys/{id_}/rotate", admin, {}).json()
    ended = ask(proxied, "POST", f"/keys/{id_}/revoke", admin, {}).json()
    assert (ended["state"], ended["former_until"]) == ("revoked", None)
    deadline = time.monotonic() + 5
    for secret in (first, again["secret"], last["secret"]):
        while ask(proxied, "GET", "/report", secret).status_code != 401:
            assert time.monotonic() < deadline
    reply = ask(proxied, "POST", f"/keys/{id_}/rotate", admin, {})
    assert (reply.status_code, "is revoked" in reply.text) == (400, True)
    assert ask(proxied, "POST", f"/keys/{id_}/revoke", admin, {}).json() == ended


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", {}), ("/keys", {"name": "a\nb"}), ("/keys", {"name": "x", "role": "king"}),
        ("/keys", {"name": "x", "expires": "99999d"}), ("/keys", {"name": "x", "expires": "0s"}),
        ("/keys", {"name": "x", "models": [""]}), ("/keys", {"name": "x", "secret": "mine"}),
        ("/keys", {"name": "x", "id": "bk_mine"}), ("/keys", [1]),
        ("/keys", {"name": "x" * 9_999}), ("/keys/KEY/rotate", {"grace": "99w"}),
        ("/keys/KEY/rotate", {"asker": "x"}), ("/keys/KEY/revoke", {"why": "x"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    proxied: Running, tokens: dict[Role, str], path: str, body: Any
) -> None:
    """With what would be right."""
    store, id_ = proxied.engine.store, tokens["caller"][:19]
    before = store.keys_since()
    reply = ask(proxied, "POST", path.replace("KEY", id_), tokens["admin"], body)
    assert reply.status_code == 400, reply.text
    assert store.keys_since() == before


def test_the_first_key_is_made_where_the_proxy_runs(tmp_path: Path) -> None:
    """Whoever reaches a proxy without keys could else make the key that outlives that."""
    with running(tmp_path, Answer()) as proxy:
        assert ask(proxy, "GET", "/keys", None).json()["keys"] == []
        assert ask(proxy, "GET", "/keys/self", None).status_code == 404
        for path, body in (
            ("/keys", {"name": "mine"}),
            ("/keys/bk_a/rotate", {}),
            ("/keys/bk_a/revoke", {}),
        ):
            reply = ask(proxy, "POST", path, None, body)
            assert (reply.status_code, "keys create" in reply.text) == (403, True)
        assert proxy.engine.store.keys_since() == []


@SCHEMA.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_with_an_admin_s_key_the_answer_is_as_said(
    case: schemathesis.Case[Any], proxied: Running, tokens: dict[Role, str]
) -> None:
    """Good questions and bad ones: a status that is named, and JSON of the shape that is named."""
    headers = {"authorization": f"Bearer {tokens['admin']}"}
    case.headers.pop("x-api-key", None)
    response = case.call(base_url=proxied.url, headers=headers)
    assert response.status_code not in {401, 403}
    case.validate_response(response, checks=list(CHECKS), headers=headers)


@pytest.mark.parametrize("path", ["/v1/budget/keys/{id}/rotate", "/v1/budget/keys/{id}/revoke"])
def test_a_key_that_is_there_is_as_described(
    proxied: Running, tokens: dict[Role, str], path: str
) -> None:
    """Made-up ids only ever find nothing."""
    id_ = issuing.create(proxied.engine.store, "Ann", time.time()).key.id
    case = SCHEMA[path]["POST"].Case(
        path_parameters={"id": id_}, body={}, media_type="application/json"
    )
    response = case.call(base_url=proxied.url, headers={"x-api-key": tokens["admin"]})
    assert response.status_code == 200
    case.validate_response(response, checks=list(CHECKS))
