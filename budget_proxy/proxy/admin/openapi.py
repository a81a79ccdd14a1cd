"""The endpoints described: an OpenAPI 3.1 document, made of their questions and answers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from pydantic import TypeAdapter

from budget_proxy.proxy.admin.endpoint import Endpoint

PREFIX: Final = "/v1/budget"
_REFERENCE: Final = "#/components/schemas/{model}"
_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string", "description": "What is wrong, and what is right."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The parameter it is about."},
            },
            "required": ["message", "type"],
        }
    },
    "required": ["error"],
}
_REFUSALS: Final = {
    "400": "A parameter is wrong, or unknown.",
    "401": "There are virtual keys, and the request brings none that is in force.",
    "403": "The role of the key does not do, or it is asked by a web page that may not, or under "
    "a host that is not allowed.",
    "404": "There is no such thing.",
    "413": "The body is too long.",
    "415": "The body is no JSON.",
    "503": "The history cannot be read now, or too many questions wait.",
}
_SECURITY: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key."},
    "x-api-key": {
        "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same.",
    },
}  # fmt: skip
_OF_BODIES: Final = frozenset({"413", "415"})


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document as JSON's values."""
    answers = [(_id(one), "serialization", TypeAdapter(one.answer)) for one in endpoints]
    found, described = TypeAdapter.json_schemas(answers, ref_template=_REFERENCE)  # type: ignore[arg-type]  # any key will do
    paths: dict[str, Any] = {}
    for one in endpoints:
        answer = found[_id(one), "serialization"]
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "budget-proxy",
            "version": version("budget-proxy"),
            "description": "What the proxy's history tells. Times are Unix seconds, money is US "
            "dollars, counts of tokens are whole; null means unknown, never zero.",
        },
        "paths": paths,
        "security": [{}, *({name: []} for name in _SECURITY)],
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {"Error": _ERROR, **described.get("$defs", {})},
        },
    }


def _operation(endpoint: Endpoint, answer: Any) -> dict[str, Any]:
    refusals = {
        status: _reply(text, {"$ref": "#/components/schemas/Error"})
        for status, text in _REFUSALS.items()
        if (endpoint.body or status not in _OF_BODIES)
        and (status != "404" or endpoint.in_path or endpoint.asker)
    }
    operation: dict[str, Any] = {
        "operationId": _id(endpoint),
        "summary": endpoint.summary,
        "description": f"Where there are virtual keys: with the role {endpoint.needs} or above.",
        "parameters": _parameters(endpoint),
        "responses": {"200": _reply("The answer.", answer), **refusals},
    }
    if endpoint.body:
        content = {"application/json": {"schema": _body(endpoint, endpoint.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _id(endpoint: Endpoint) -> str:
    return endpoint.respond.__name__


def _body(endpoint: Endpoint, name: str) -> Any:
    if endpoint.schema is not None:
        return endpoint.schema
    model: Any = endpoint.question.model_fields[name].annotation
    return TypeAdapter(model).json_schema(mode="validation")


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    described = endpoint.question.model_json_schema(mode="validation")
    needed = described.get("required", [])
    return [
        {
            "name": name,
            "in": "path" if name in endpoint.in_path else "query",
            "required": name in needed,
            "description": schema.pop("description", ""),
            "schema": _without_null(schema),
        }
        for name, schema in described.get("properties", {}).items()
        if name in endpoint.parameters
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: one that is not there is left out, and never null."""
    schema.pop("title", None)
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        return {**schema, **kinds[0]}
    return {**schema, "anyOf": kinds} if kinds else schema


def _reply(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
