"""How clients are made and set: options, copies, retries, timeouts, hooks, HTTP clients, Azure."""

from __future__ import annotations

from typing import Any

from tests.conformance import chat, got, messages
from tests.conformance.behaviour import behaviour
from tests.conformance.visit import Visit
from tests.doors import items, now
from tests.provider_answers import Answer

AREA = "clients"
BUSY = Answer(status=503, error=("busy", None), headers={"retry-after-ms": "1"})
LIMITED = Answer(status=429, error=("slow down", None), headers={"retry-after-ms": "1"})
DEPLOYED: dict[str, Any] = {**chat.ASK, "model": "deployed"}


@behaviour(AREA, "with_options and copy", calls=2)
async def copies(visit: Visit) -> Any:
    """Copies with other options."""
    client = visit.client().with_options(timeout=20.0, max_retries=1)
    first = await now(client.chat.completions.create(**chat.ASK))
    client = client.copy(organization="org", default_headers={"x-one": "1"})
    return first, await now(client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "Anthropic: with_options and copy", calls=2)
async def anthropic_copies(visit: Visit) -> Any:
    """Copies with other options."""
    client = visit.client("Anthropic").with_options(timeout=20.0, max_retries=1)
    first = await now(client.messages.create(**messages.ASK))
    client = client.copy(default_headers={"x-one": "1"})
    return first, await now(client.messages.create(**messages.ASK))


@behaviour(AREA, "headers, query and body of one call")
async def extras(visit: Visit) -> Any:
    """Whatever a call brings along."""
    client = visit.client(default_headers={"x-one": "1"}, default_query={"q": "a b"})
    asked = {"extra_headers": {"x-two": "a, b"}, "extra_query": {"p": "1"}}
    return await now(client.chat.completions.create(**chat.ASK, **asked, extra_body={"top_k": 3}))


@behaviour(AREA, "organization and project")
async def organization(visit: Visit) -> Any:
    """Headers of an account."""
    client = visit.client(organization="org-1", project="proj-1")
    return await now(client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "Anthropic: a token in place of a key")
async def auth_token(visit: Visit) -> Any:
    """The other form of authentication."""
    client = visit.client("Anthropic", api_key=None, auth_token="token")
    return await now(client.messages.create(**messages.ASK))


@behaviour(AREA, "Anthropic: beta headers")
async def betas(visit: Visit) -> Any:
    """Given by the caller, to one call."""
    client = visit.client("Anthropic")
    headers = {"anthropic-beta": "one-2026-01-01,two-2026-01-01"}
    return await now(client.messages.create(**messages.ASK, extra_headers=headers))


@behaviour(AREA, "raw verbs")
async def verbs(visit: Visit) -> Any:
    """``client.post`` with a path and a body."""
    return await now(visit.client().post("/chat/completions", body=chat.ASK, cast_to=object))


@behaviour(AREA, "retries after 503", calls=3)
async def retries(visit: Visit) -> Any:
    """As often as the SDK was told to."""
    visit.provider.then(BUSY, BUSY)
    return await now(visit.client(max_retries=2).chat.completions.create(**chat.ASK))


@behaviour(AREA, "Anthropic: retries after 429", calls=2)
async def anthropic_retries(visit: Visit) -> Any:
    """As often as the SDK was told to."""
    visit.provider.then(LIMITED)
    return await now(visit.client("Anthropic", max_retries=2).messages.create(**messages.ASK))


@behaviour(AREA, "retries of a stream", calls=2)
async def retries_of_a_stream(visit: Visit) -> Any:
    """Before it has begun."""
    visit.provider.then(LIMITED)
    client = visit.client(max_retries=2)
    return await items(await now(client.chat.completions.create(**chat.ASK, stream=True)))


@behaviour(AREA, "retries used up", calls=3)
async def retries_used_up(visit: Visit) -> Any:
    """The last error is raised."""
    visit.provider.answer = BUSY
    client = visit.client(max_retries=2)
    return await got.raised(lambda: client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "no retry where the provider says so")
async def no_retry(visit: Visit) -> Any:
    """``x-should-retry: false``."""
    headers = {"x-should-retry": "false"}
    visit.provider.answer = Answer(status=429, error=("spent", None), headers=headers)
    client = visit.client(max_retries=2)
    return await got.raised(lambda: client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "timeout of a call")
async def timeout(visit: Visit) -> Any:
    """APITimeoutError, in time."""
    visit.provider.answer = Answer(delay=0.6)
    client, soon = visit.client(), visit.http().Timeout(20.0, read=0.2)
    return await got.raised(lambda: client.chat.completions.create(**chat.ASK, timeout=soon))


@behaviour(AREA, "Anthropic: timeout of a client")
async def anthropic_timeout(visit: Visit) -> Any:
    """APITimeoutError, in time."""
    visit.provider.answer = Answer(delay=0.6)
    client = visit.client("Anthropic", timeout=visit.http("Anthropic").Timeout(20.0, read=0.2))
    return await got.raised(lambda: client.messages.create(**messages.ASK))


@behaviour(AREA, "a custom http_client with headers, cookies and limits", calls=2)
async def custom_http(visit: Visit) -> Any:
    """The user's own HTTP client is used, cookies and all."""
    visit.provider.then(Answer(headers={"set-cookie": "a=1; Path=/"}))
    limits = visit.http().Limits(max_connections=1)
    http = visit.http_client(headers={"x-mine": "1"}, cookies={"c": "2"}, limits=limits)
    client = visit.client(http_client=http)
    first = await now(client.chat.completions.create(**chat.ASK))
    return first, await now(client.chat.completions.create(**chat.ASK)), dict(http.cookies)


@behaviour(AREA, "event hooks")
async def hooks(visit: Visit) -> Any:
    """They see the request and the response, and may add a header."""
    seen: list[Any] = []

    def on_request(request: Any) -> None:
        request.headers["x-hooked"] = "1"
        seen.append((request.method, request.url.path))

    def on_response(response: Any) -> None:
        seen.append((response.status_code, response.headers["content-type"]))

    async def on_request_async(request: Any) -> None:
        on_request(request)

    async def on_response_async(response: Any) -> None:
        on_response(response)

    sync = visit.colour == "sync"
    own = {
        "request": [on_request if sync else on_request_async],
        "response": [on_response if sync else on_response_async],
    }
    client = visit.client(http_client=visit.http_client(event_hooks=own))
    return seen, await now(client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "Anthropic: event hooks of a stream")
async def hooks_of_a_stream(visit: Visit) -> Any:
    """A response is seen before it is read."""
    seen: list[Any] = []

    def note(response: Any) -> None:
        seen.append((response.status_code, response.is_stream_consumed))

    async def note_async(response: Any) -> None:
        note(response)

    own = {"response": [note if visit.colour == "sync" else note_async]}
    client = visit.client("Anthropic", http_client=visit.http_client("Anthropic", event_hooks=own))
    stream = await now(client.messages.create(**messages.ASK, stream=True))
    return seen, await items(stream)


@behaviour(AREA, "mounts", calls=2)
async def mounts(visit: Visit) -> Any:
    """A transport of the user's own for some hosts."""
    transports = visit.http()
    base = transports.HTTPTransport if visit.colour == "sync" else transports.AsyncHTTPTransport
    used: list[str] = []

    class Mine(base):  # type: ignore[misc, valid-type]
        def handle_request(self, request: Any) -> Any:
            used.append(request.url.path)
            return super().handle_request(request)

        async def handle_async_request(self, request: Any) -> Any:
            used.append(request.url.path)
            return await super().handle_async_request(request)

    client = visit.client(http_client=visit.http_client(mounts={"http://127.0.0.1": Mine()}))
    first = await now(client.chat.completions.create(**chat.ASK))
    return used, first, await now(client.chat.completions.create(**chat.ASK))


@behaviour(AREA, "a subclass of the user's")
async def subclass(visit: Visit) -> Any:
    """With a method and a default of its own."""
    parent = visit.kind("OpenAI")

    class Mine(parent):  # type: ignore[misc, valid-type]
        def ask(self, text: str) -> Any:
            turns = [{"role": "user", "content": text}]
            return self.chat.completions.create(model="gpt-5.5", messages=turns)

    client = visit.client(kind=Mine)
    return isinstance(client, Mine), await now(client.with_options(max_retries=1).ask("hello"))


@behaviour(AREA, "used as a context manager")
async def managed(visit: Visit) -> Any:
    """Closed by the block."""
    client = visit.client()
    if visit.colour == "sync":
        with client:
            answer = client.chat.completions.create(**chat.ASK)
    else:
        async with client:
            answer = await client.chat.completions.create(**chat.ASK)
    return answer, client.is_closed()


@behaviour(AREA, "Azure: a deployment")
async def azure(visit: Visit) -> Any:
    """The deployment is in the path, the version in the query."""
    return await now(visit.client("AzureOpenAI").chat.completions.create(**DEPLOYED))


@behaviour(AREA, "Azure: a client's own deployment, streamed")
async def azure_streamed(visit: Visit) -> Any:
    """Given once for all calls."""
    client = visit.client("AzureOpenAI", azure_deployment="deployed")
    return await items(await now(client.chat.completions.create(**DEPLOYED, stream=True)))


@behaviour(AREA, "Azure: a token of Entra ID, and Responses")
async def azure_token(visit: Visit) -> Any:
    """Made anew for each call."""
    made = 0

    def token() -> str:
        nonlocal made
        made += 1
        return f"token-{made}"

    client = visit.client("AzureOpenAI", api_key=None, azure_ad_token_provider=token)
    return await now(client.responses.create(model="deployed", input="hello"))


@behaviour(AREA, "Azure: with_options")
async def azure_copies(visit: Visit) -> Any:
    """Its copies keep their deployment."""
    client = visit.client("AzureOpenAI", azure_deployment="deployed")
    client = client.with_options(max_retries=1)
    return await now(client.chat.completions.create(**DEPLOYED))


@behaviour(AREA, "Anthropic: middleware of the user's")
async def middleware(visit: Visit) -> Any:
    """It sees the answer as the SDK gives it, and may add to the request."""
    seen: list[Any] = []

    def handle(request: Any, call_next: Any) -> Any:
        answer = call_next(request.copy(headers={**request.headers, "x-mine": "1"}))
        seen.append(answer.http_response.status_code)
        return answer

    async def handle_async(request: Any, call_next: Any) -> Any:
        answer = await call_next(request.copy(headers={**request.headers, "x-mine": "1"}))
        seen.append(answer.http_response.status_code)
        return answer

    chosen = handle if visit.colour == "sync" else handle_async
    client = visit.client("Anthropic", middleware=[chosen])
    return seen, await now(client.messages.create(**messages.ASK))


@behaviour(AREA, "Anthropic: credentials by a function")
async def credentials(visit: Visit) -> Any:
    """A token that the user's own code fetches."""
    from anthropic.lib.credentials import AccessToken

    def token(**_: Any) -> Any:
        return AccessToken(token="sk-ant-oat01-x", expires_at=None)

    client = visit.client("Anthropic", api_key=None, credentials=token)
    return await now(client.messages.create(**messages.ASK))
