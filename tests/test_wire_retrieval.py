"""Which requests ask after a response that was begun earlier."""

from __future__ import annotations

import pytest

from budget_proxy.wire import DIALECTS
from budget_proxy.wire.retrieval import Retrieval, retrieval_of


@pytest.mark.parametrize(
    ("method", "path", "response"),
    [
        ("GET", "/v1/responses/resp_1", "resp_1"),
        ("get", "/v1/responses/resp_1/", "resp_1"),
        ("GET", "/responses/resp_1", "resp_1"),
        ("GET", "/openai/responses/resp_1", "resp_1"),
        ("GET", "/openai/v1/responses/resp_1", "resp_1"),
        ("GET", "/gate/v1/responses/a%2Fb", "a/b"),
        ("POST", "/v1/responses/resp_1/cancel", "resp_1"),
        ("POST", "/openai/responses/resp_1/cancel", "resp_1"),
        ("POST", "/v1/responses", None),
        ("GET", "/v1/responses", None),
        ("GET", "/v1/responses/", None),
        ("POST", "/v1/responses/resp_1", None),
        ("POST", "/v1/responses/input_tokens", None),
        ("POST", "/v1/responses/compact", None),
        ("DELETE", "/v1/responses/resp_1", None),
        ("GET", "/v1/responses/resp_1/input_items", None),
        ("GET", "/v1/responses/resp_1/cancel", None),
        ("GET", "/v1/chat/completions/chatcmpl_1", None),
        ("GET", "/v1/myresponses/resp_1", None),
    ],
)
def test_retrievals_by_method_and_path(method: str, path: str, response: str | None) -> None:
    """Retrieving and cancelling tell what a response used; nothing else under its path does."""
    expected = Retrieval(DIALECTS["openai.responses"], response) if response else None
    assert retrieval_of(method, path) == expected
