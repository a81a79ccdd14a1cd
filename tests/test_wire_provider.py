"""Whose API a request speaks, and how keys are handed over."""

from __future__ import annotations

import pytest

from budget_proxy.wire.provider import (
    credentials_of,
    is_signed,
    provider_error,
    provider_of,
    timeout_of,
    with_key,
    without_credentials,
)

VERSION = ("anthropic-version", "2026-10-21")
BEARER = ("authorization", "Bearer caller")
X_KEY = ("x-api-key", "caller")


@pytest.mark.parametrize(
    ("path", "headers", "provider"),
    [
        ("/v1/messages", [], "anthropic"),
        ("/v1/messages/count_tokens", [BEARER], "anthropic"),
        ("/v1/messages_of_another", [BEARER], "openai"),
        ("/v1/models", [BEARER], "openai"),
        ("/v1/models", [VERSION, BEARER], "anthropic"),
        ("/v1/models", [X_KEY], "anthropic"),
        ("/v1/models", [X_KEY, BEARER], "openai"),
        ("/v1/models", [], "openai"),
        ("/openai/deployments/d/chat/completions", [("api-key", "caller")], "openai"),
        ("/openai/v1/responses/r", [X_KEY], "openai"),
        ("/v1/responses/r/cancel", [X_KEY, VERSION], "openai"),
        ("/v1/embeddings", [X_KEY], "openai"),
        ("/v1/files", [X_KEY, VERSION], "anthropic"),
    ],
)
def test_the_provider_shows_in_path_or_headers(
    path: str, headers: list[tuple[str, str]], provider: str
) -> None:
    """By what only one of them has; elsewhere Anthropic's version, or its form of key, tells."""
    assert provider_of(path, headers) == provider


@pytest.mark.parametrize(
    ("provider", "path", "credential"),
    [
        ("anthropic", "/v1/messages", ("x-api-key", "ours")),
        ("openai", "/v1/chat/completions", ("authorization", "Bearer ours")),
        ("openai", "/openai/v1/responses", ("api-key", "ours")),
    ],
)
def test_our_key_replaces_every_credential_of_the_caller(
    provider: str, path: str, credential: tuple[str, str]
) -> None:
    """Exactly one credential goes upstream, in the form that the provider takes."""
    headers = [BEARER, X_KEY, ("API-Key", "caller"), VERSION]
    assert with_key(provider, path, headers, "ours") == [VERSION, credential]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], set()),
        ([BEARER], {"caller"}),
        ([BEARER, X_KEY, ("API-Key", " caller ")], {"caller"}),
        ([BEARER, ("Authorization", "bearer other")], {"caller", "other"}),
        ([("authorization", "Basic Y2FsbGVy")], {""}),
        ([("authorization", "caller")], {""}),
        ([("authorization", "Bearer a b")], {""}),
        ([("x-api-key", "")], {""}),
        ([("proxy-authorization", "Bearer caller"), VERSION], set()),
    ],
)
def test_every_credential_is_found(headers: list[tuple[str, str]], found: set[str]) -> None:
    """In each of the headers that clients use, however often; other schemes count, as empty."""
    assert credentials_of(headers) == found


def test_all_that_is_a_credential_is_taken_out() -> None:
    """Whatever its scheme; all else stays in its order."""
    headers = [VERSION, BEARER, X_KEY, ("Api-Key", "a"), ("AUTHORIZATION", "Basic x"), ("x", "y")]
    assert without_credentials(headers) == [VERSION, ("x", "y")]


def test_errors_have_the_shape_of_their_provider() -> None:
    """OpenAI's errors carry param and code, Anthropic's say that they are errors."""
    status, body = provider_error("openai", 502, "down", "upstream_unreachable")
    assert status == 502
    assert body["error"]["code"] == "upstream_unreachable"
    status, body = provider_error("anthropic", 413, "long", "request_too_large")
    assert (status, body["type"]) == (413, "error")
    assert body["error"] == {"type": "request_too_large", "message": "long"}


@pytest.mark.parametrize(
    ("value", "signed"),
    [("AWS4-HMAC-SHA256 Credential=x", True), ("Bearer sk", False), ("", False)],
)
def test_a_signature_is_seen_whatever_the_case_of_its_header(value: str, *, signed: bool) -> None:
    """What is signed is not changed."""
    assert is_signed([("Authorization", value)]) is signed
    assert not is_signed([("x-api-key", value)])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("X-Stainless-Read-Timeout", "600"), ("x-stainless-timeout", "30")], 600.0),
        ([("x-stainless-timeout", "30.5")], 30.5),
        ([("x-stainless-read-timeout", "soon"), ("x-stainless-timeout", "30")], 30.0),
        ([("x-stainless-read-timeout", "soon")], None),
        ([], None),
    ],
)
def test_the_callers_patience_is_read_from_its_headers(
    headers: list[tuple[str, str]], seconds: float | None
) -> None:
    """The time for reading first; what is no number counts as absent."""
    assert timeout_of(headers) == seconds
