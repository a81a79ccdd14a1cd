"""Models that stand in a request's path."""

from __future__ import annotations

import pytest

from budget_proxy.wire.path import is_bedrock, model_in

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"


@pytest.mark.parametrize(
    ("path", "model", "bedrock"),
    [
        ("/openai/deployments/gpt-55/chat/completions", "gpt-55", False),
        ("/openai/deployments/my%20gpt/responses", "my gpt", False),
        ("/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke",
         "anthropic.claude-haiku-4-5-20251001-v1:0", True),
        (f"/model/{ARN}/invoke", ARN, True),
        (f"/model/{ARN.replace('/', '%2F').replace(':', '%3A')}/invoke", ARN, True),
        ("model/m/invoke/", "m", True),
        ("/model/m/invoke-with-response-stream", "", False),
        ("/v1/chat/completions", "", False),
        ("/openai/deployments/", "", False),
        ("", "", False),
    ],
)  # fmt: skip
def test_model_in_a_path(path: str, model: str, bedrock: bool) -> None:
    """Azure's deployment and Bedrock's model are found, unquoted; other paths name none."""
    assert (model_in(path), is_bedrock(path)) == (model, bedrock)
