"""Providers' errors: the same bytes, and the same exception, as without the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import orjson
import pytest

from tests.proxied import JSON, Answer, Running, running
from tests.proxy_payloads import HELLO

RETRY = [("retry-after", "7"), ("retry-after-ms", "7000"), ("x-should-retry", "false")]
HTML = (
    b"<html>\r\n<head><title>Bad Gateway</title></head>\r\n<body>nginx \xe2\x80\xa6</body></html>"
)
OPENAI: dict[int, tuple[str, str | None, str | None]] = {
    400: ("invalid_request_error", "messages", "unsupported_parameter"),
    401: ("invalid_request_error", None, "invalid_api_key"),
    403: ("permission_error", None, "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model", "model_not_found"),
    409: ("conflict_error", None, None),
    413: ("invalid_request_error", None, "request_too_large"),
    422: ("invalid_request_error", None, None),
    429: ("insufficient_quota", None, "project_spend_limit_exceeded"),
    500: ("server_error", None, None),
    503: ("server_error", None, "slow_down"),
    504: ("server_error", None, "timeout"),
}
"""Type, parameter and code by status."""
ANTHROPIC = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 409: "conflict_error",
    413: "request_too_large", 422: "invalid_request_error", 429: "rate_limit_error",
    500: "api_error", 503: "api_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
"""Type by status."""


def openai_body(status: int) -> bytes:
    """OpenAI's error, indented as it sends it."""
    kind, parameter, code = OPENAI[status]
    error = {"message": f"no: {status}", "type": kind, "param": parameter, "code": code}
    return orjson.dumps({"error": error}, option=orjson.OPT_INDENT_2) + b"\n"


def anthropic_body(status: int) -> bytes:
    """Anthropic's error."""
    error = {"type": ANTHROPIC[status], "message": f"no: {status}"}
    return orjson.dumps({"type": "error", "error": error, "request_id": "req_1"})


def chat(base: str, *, stream: bool) -> Any:
    """A chat call at a base URL."""
    with openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=HELLO, stream=stream)


def response(base: str, *, stream: bool) -> Any:
    """A Responses call at a base URL."""
    with openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
        return client.responses.create(model="m", input="hello", stream=stream)


def retrieval(base: str, *, stream: bool) -> Any:
    """Asking after a response at a base URL."""
    with openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
        return client.responses.retrieve("resp_1", stream=stream)


def embedding(base: str, *, stream: bool) -> Any:
    """What is no completion call, at a base URL."""
    del stream
    with openai.OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0) as client:
        return client.embeddings.create(model="m", input="hello")


def message(base: str, *, stream: bool) -> Any:
    """A messages call at a base URL."""
    with anthropic.Anthropic(base_url=base, api_key="k", max_retries=0) as client:
        return client.messages.create(model="m", max_tokens=9, messages=HELLO, stream=stream)


Ask = Callable[..., Any]
CASES: list[tuple[Ask, int, bytes]] = [
    *((ask, status, openai_body(status)) for ask in (chat, response) for status in OPENAI),
    *(
        (ask, status, openai_body(status))
        for ask in (retrieval, embedding)
        for status in (404, 500)
    ),
    *((message, status, anthropic_body(status)) for status in ANTHROPIC),
]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def raised(ask: Ask, base: str, *, stream: bool) -> Any:
    """The error that an SDK raises for a call."""
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        ask(base, stream=stream)
    return caught.value


def facts(error: Any) -> dict[str, Any]:
    """All that a program can learn of an error, but for our own headers and the framing."""
    answer = error.response
    passing = {"content-length", "transfer-encoding", "connection"}
    return {
        "class": type(error), "status": error.status_code, "body": error.body, "text": str(error),
        "bytes": answer.content, "request_id": error.request_id,
        "code": getattr(error, "code", None), "type": getattr(error, "type", None),
        "headers": sorted(
            item for item in answer.headers.multi_items()
            if item[0] not in passing and not item[0].startswith("x-budget-")
        ),
    }  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("ask", "status", "body"), CASES, ids=[f"{ask.__name__}-{status}" for ask, status, _ in CASES]
)
def test_an_error_is_the_same_with_and_without_the_proxy(
    proxied: Running, ask: Ask, status: int, body: bytes, stream: bool
) -> None:
    """Class, code, text, headers and every byte; a call's row says that it cost nothing."""
    headers = [*JSON, *RETRY, ("x-request-id", "req_1"), ("request-id", "req_1")]
    proxy = proxied.answering(Answer(status=status, headers=headers, parts=[body]))
    through = raised(ask, proxy.url, stream=stream)
    direct = raised(ask, proxy.upstream.url, stream=stream)
    assert facts(through) == facts(direct)
    assert (through.status_code, through.response.content) == (status, body)
    assert f"no: {status}" in str(through)
    rows = [(row.finish_reason, row.status, row.output_tokens) for row in proxy.rows()]
    assert rows == ([] if ask in {retrieval, embedding} else [("error", status, 0)])


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 502, 503, 504, 524])
@pytest.mark.parametrize("ask", [chat, response, message], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html; charset=utf-8", HTML), ("text/plain", b"upstream connect error"),
     ("application/json", b'{"error": "half'), ("application/json", b'"no"'), ("text/html", b"")],
    ids=["html", "text", "half", "string", "empty"],
)  # fmt: skip
def test_what_is_no_error_of_the_provider_s_passes_too(
    proxied: Running, ask: Ask, status: int, kind: str, body: bytes
) -> None:
    """A load balancer's page, or nothing at all: as it came, with its own content type."""
    headers = [("content-type", kind), ("server", "nginx")]
    proxy = proxied.answering(Answer(status=status, headers=headers, parts=[body] if body else []))
    through = raised(ask, proxy.url, stream=False)
    assert facts(through) == facts(raised(ask, proxy.upstream.url, stream=False))
    assert through.response.content == body
    assert through.response.headers["content-type"] == kind
    assert proxy.row().status == status


@pytest.mark.parametrize("ask", [chat, message], ids=lambda ask: ask.__name__)
def test_a_page_in_place_of_an_answer_passes(proxied: Running, ask: Ask) -> None:
    """A 200 that is no answer at all is the SDK's to judge; its row is an estimate."""
    headers = [("content-type", "text/html")]
    proxy = proxied.answering(Answer(headers=headers, parts=[HTML]))
    assert str(ask(proxy.url, stream=False)) == str(ask(proxy.upstream.url, stream=False))
    row = proxy.row()
    assert (row.status, row.finish_reason, row.exact) == (200, "error", False)
