"""What is no completion call: it passes as it is, in both SDKs."""

from __future__ import annotations

from typing import Any

from tests.conformance.behaviour import behaviour
from tests.conformance.visit import Visit
from tests.doors import now

AREA = "passing"
MODEL = {"id": "gpt-5.5", "object": "model", "created": 1, "owned_by": "openai"}
CLAUDE = {
    "id": "claude-sonnet-5-5", "type": "model", "display_name": "C",
    "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
BATCH = {
    "id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "status": "validating",
    "completion_window": "24h", "created_at": 1, "input_file_id": "file_1",
}  # fmt: skip
FILE = {
    "id": "file_1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl",
    "purpose": "batch", "status": "processed",
}  # fmt: skip


@behaviour(AREA, "embeddings", calls=0)
async def embeddings(visit: Visit) -> Any:
    """Vectors of numbers."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.25, -1.5]}
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    visit.provider.others[("POST", "/v1/embeddings")] = {
        "object": "list", "data": [vector], "model": "e", "usage": usage,
    }  # fmt: skip
    asked = {"model": "e", "input": "hello", "encoding_format": "float"}
    return await now(visit.client().embeddings.create(**asked))


@behaviour(AREA, "models", calls=0)
async def models(visit: Visit) -> Any:
    """Listed, and one of them."""
    visit.provider.others |= {
        ("GET", "/v1/models"): {"object": "list", "data": [MODEL]},
        ("GET", "/v1/models/gpt-5.5"): MODEL,
    }
    client = visit.client()
    return (await now(client.models.list())).data, await now(client.models.retrieve("gpt-5.5"))


@behaviour(AREA, "Anthropic: models", calls=0)
async def anthropic_models(visit: Visit) -> Any:
    """Listed with paging, and one of them."""
    visit.provider.others |= {
        ("GET", "/v1/models"): {"data": [CLAUDE], "has_more": False, "first_id": "c"},
        ("GET", "/v1/models/claude-sonnet-5-5"): CLAUDE,
    }
    client = visit.client("Anthropic")
    listed = await now(client.models.list(limit=1))
    return listed.data, await now(client.models.retrieve("claude-sonnet-5-5"))


@behaviour(AREA, "batches", calls=0)
async def batches(visit: Visit) -> Any:
    """Made, looked at, and cancelled."""
    visit.provider.others |= {
        ("POST", "/v1/batches"): BATCH,
        ("GET", "/v1/batches/batch_1"): BATCH,
        ("POST", "/v1/batches/batch_1/cancel"): {**BATCH, "status": "cancelling"},
    }
    door = visit.client().batches
    asked = {"completion_window": "24h", "endpoint": "/v1/responses", "input_file_id": "file_1"}
    made = await now(door.create(**asked))
    return made, await now(door.retrieve("batch_1")), await now(door.cancel("batch_1"))


@behaviour(AREA, "files", calls=0)
async def files(visit: Visit) -> Any:
    """Uploaded as a form, listed, read, deleted."""
    visit.provider.others |= {
        ("POST", "/v1/files"): FILE,
        ("GET", "/v1/files/file_1/content"): {"line": "ü"},
        ("DELETE", "/v1/files/file_1"): {"id": "file_1", "object": "file", "deleted": True},
    }
    door = visit.client().files
    made = await now(door.create(file=("a.jsonl", b"{}\n"), purpose="batch"))
    content = await now(door.content("file_1"))
    return made, content.text, await now(door.delete("file_1"))


@behaviour(AREA, "completions of the old API", calls=0)
async def completions(visit: Visit) -> Any:
    """They are not budgeted."""
    choice = {"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}
    visit.provider.others[("POST", "/v1/completions")] = {
        "id": "cmpl_1", "object": "text_completion", "created": 1, "model": "m",
        "choices": [choice],
    }  # fmt: skip
    return await now(visit.client().completions.create(model="m", prompt="hello"))


@behaviour(AREA, "moderations", calls=0)
async def moderations(visit: Visit) -> Any:
    """They cost nothing."""
    judged = {"id": "modr_1", "model": "m", "results": []}
    visit.provider.others[("POST", "/v1/moderations")] = judged
    return await now(visit.client().moderations.create(input="hello"))
