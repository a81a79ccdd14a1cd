"""Azure's client, pointed at the proxy: its paths, its key, its answers in the background."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.background import Background, Site, opened
from tests.proxied import EVENTS, Answer, Running, Seen, Upstream, running
from tests.proxy_payloads import CHAT, CHAT_STREAM, HELLO, plain

VERSION = "2026-10-01-preview"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def azure(url: str, **given: Any) -> openai.AzureOpenAI:
    """Azure's client, without retries."""
    facts = {"api_key": "azure-key", "api_version": VERSION, "max_retries": 0, **given}
    return openai.AzureOpenAI(azure_endpoint=url, **facts)


@pytest.mark.parametrize(
    ("given", "credential"),
    [
        ({}, ("api-key", "azure-key")),
        ({"api_key": None, "azure_ad_token": "entra"}, ("authorization", "Bearer entra")),
    ],
    ids=["key", "token"],
)
def test_a_chat_through_azure_s_client(
    proxied: Running, given: dict[str, Any], credential: tuple[str, str]
) -> None:
    """Deployment, version and either form of credential reach Azure; plain and streamed."""

    def answer(seen: Seen) -> Answer:
        streams = seen.json.get("stream")
        return Answer(headers=EVENTS, parts=CHAT_STREAM) if streams else plain(CHAT)

    proxy = proxied.answering(answer)
    with azure(proxy.url, **given) as client:
        told = client.chat.completions.create(model="my deployment", messages=HELLO)
        stream = client.chat.completions.create(model="d", messages=HELLO, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert (told.choices[0].message.content, text) == ("Hi.", "Hello")
    assert [seen.target for seen in proxy.upstream.seen] == [
        f"/openai/deployments/{name}/chat/completions?api-version={VERSION}"
        for name in ("my%20deployment", "d")
    ]
    for seen in proxy.upstream.seen:
        assert seen.header(credential[0]) == [credential[1]]
    rows = proxy.rows(expected=2)
    assert [(row.api, row.model, row.output_tokens, row.exact) for row in rows] == [
        ("openai.chat", "my deployment", 3, True), ("openai.chat", "d", 3, True),
    ]  # fmt: skip


def test_a_response_in_the_background_through_azure_s_client(tmp_path: Path) -> None:
    """Created, polled and settled under Azure's paths."""
    provider = Background()
    with Upstream(provider) as upstream, opened("proxy", tmp_path, upstream) as site:
        with azure(root(site)) as client:
            created = client.responses.create(model="gpt-5.4", input="hello", background=True)
            assert [row.pending for row in site.rows()] == [True]
            provider.ends("completed")
            found = client.responses.retrieve(created.id)
        (row,) = site.rows()
    assert found.status == "completed"
    assert (row.pending, row.exact, row.output_tokens) == (False, True, 40)
    assert {seen.target for seen in upstream.seen} == {
        f"/openai/responses?api-version={VERSION}",
        f"/openai/responses/resp_1?api-version={VERSION}",
    }


def test_azure_s_realtime_api_is_refused(proxied: Running) -> None:
    """As OpenAI's is."""
    proxy = proxied.answering(plain(CHAT))
    with azure(proxy.url) as client, pytest.raises(openai.InternalServerError) as caught:
        client.realtime.client_secrets.create()
    assert caught.value.code == "realtime_not_supported"
    assert proxy.upstream.seen == []


def root(site: Site) -> str:
    """The address of a site's proxy."""
    return str(site.client.base_url).removesuffix("/v1/")
