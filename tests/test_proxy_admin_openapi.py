"""The OpenAPI document is valid, and what it says of the endpoints is so."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from budget_proxy.proxy.admin.openapi import document
from budget_proxy.proxy.admin.registry import ENDPOINTS
from budget_proxy.store.billed import Billed
from tests.command_line import answered
from tests.proxied import Answer, running

DOCUMENT = Path(__file__).parent.parent / "docs" / "http.md"
CHECKS = (
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(document(ENDPOINTS))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A proxy on a small history."""
    with running(tmp_path_factory.mktemp("described"), Answer()) as proxy:
        rows = [answered(number, truncated=number % 9 == 0) for number in range(40)]
        proxy.engine.store.append(rows)
        day = f"{datetime.fromtimestamp(rows[0].ts, UTC):%Y-%m-%d}"
        facts: dict[str, Any] = {"day": day, "model": "gpt-5.4", "kind": "output"}
        proxy.engine.store.save_billed(
            [
                Billed("openai", "cost", amount=70_000_000, **facts),
                Billed("openai", "usage", tokens=9_000, requests=41, **facts),
            ]
        )
        yield proxy.url


@pytest.fixture(scope="module", autouse=True)
def no_collection() -> Iterator[None]:
    """No garbage is collected amid what generates questions.

    CPython 3.11 counts how deep it is in making a syntax tree once for all threads: where a
    collection in the midst of it lets the server's thread run, the count may be off afterwards.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_document_is_valid_openapi(url: str) -> None:
    """By OpenAPI's own schema; as it is served."""
    found = httpx.get(f"{url}/v1/budget/openapi.json").json()
    OpenAPIV31SpecValidator(found).validate()
    assert found == document(ENDPOINTS)
    assert {path.removeprefix("/v1/budget") for path in found["paths"]} == {
        one.path for one in ENDPOINTS
    }


def test_everything_in_it_is_described() -> None:
    """Every operation and every parameter has a sentence."""
    for item in document(ENDPOINTS)["paths"].values():
        for operation in item.values():
            assert operation["summary"].endswith(".")
            assert all(one["description"].endswith((".", "?")) for one in operation["parameters"])


def test_every_endpoint_and_parameter_stands_in_the_docs() -> None:
    """With a line for curl, in a section that names the parameters."""
    sections = re.split(r"^##+ ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]
    for one in ENDPOINTS:
        (section,) = [text for text in sections if f"`{one.method} /v1/budget{one.path}`" in text]
        assert "$ curl -s" in section
        assert f"/v1/budget{one.path.partition('{')[0]}" in section.partition("$ curl")[2]
        missing = {name for name in one.parameters if f"`{name}`" not in section}
        assert missing <= set(one.in_path), one.path


@SCHEMA.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked_the_answer_is_as_said(case: schemathesis.Case[Any], url: str) -> None:
    """Good questions and bad ones: a status that is named, and JSON of the shape that is named."""
    case.validate_response(case.call(base_url=url), checks=list(CHECKS))


def test_a_bill_that_is_there_is_as_described(url: str) -> None:
    """Made-up months and providers rarely find one."""
    response = SCHEMA["/v1/budget/billing"]["GET"].Case().call(base_url=url)
    assert response.status_code == 200
    assert response.json()["explanations"]
    SCHEMA["/v1/budget/billing"]["GET"].Case().validate_response(response, checks=list(CHECKS))


@pytest.mark.parametrize("call", ["c0", "c39"])
def test_a_call_that_is_there_is_as_described(url: str, call: str) -> None:
    """Made-up ids only ever find nothing."""
    case = SCHEMA["/v1/budget/calls/{call_id}"]["GET"].Case(path_parameters={"call_id": call})
    response = case.call(base_url=url)
    assert response.status_code == 200
    case.validate_response(response, checks=list(CHECKS))
