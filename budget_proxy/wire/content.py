"""Message content in every form providers know: a string, a list of blocks, null, or odd.

Reads text and counts what is not text. Reasoning that is sent back is not counted: providers
drop or rebill it by rules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from budget_proxy.wire import value

MARKERS: Final = ("cache_control", "prompt_cache_breakpoint")
"""Keys by which a caller marks the end of a prefix to cache."""

_TEXTS: Final[Mapping[str, str]] = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "refusal": "refusal",
}
_IMAGES: Final = frozenset({"image", "image_url", "input_image", "image_file"})
_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_HIDDEN: Final = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_text"})


@dataclass(slots=True)
class Content:
    """What one message holds; ``hidden`` are characters billed as input that are no text.

    ``result`` is the text of tool results. ``marked`` says that a block carries a cache
    marker, ``marked_early`` that one before the last block does.
    """

    text: str = ""
    result: str = ""
    images: int = 0
    attachments: int = 0
    tool_calls: int = 0
    hidden: int = 0
    marked: bool = False
    marked_early: bool = False


def marked(block: Mapping[str, Any]) -> bool:
    """Whether a message or block carries a cache marker."""
    return any(block.get(key) is not None for key in MARKERS)


def unmarked(item: Any) -> Any:
    """A block or tool without its cache marker; the same object where it has none."""
    if not isinstance(item, dict) or not marked(item):
        return item
    return {key: part for key, part in item.items() if key not in MARKERS}


def is_result(block: Any) -> bool:
    """Whether a block answers a tool call."""
    return isinstance(block, dict) and value.text(block.get("type")).endswith("tool_result")


def only_results(content: Any) -> bool:
    """Whether a message is nothing but answers to tool calls."""
    return isinstance(content, list) and bool(content) and all(map(is_result, content))


def not_text(content: Any) -> list[Mapping[str, Any]]:
    """The blocks of a message that are neither text nor answers to tool calls."""
    return [
        block
        for block in value.items(content)
        if isinstance(block, dict)
        and value.text(block.get("type")) not in _TEXTS
        and not is_result(block)
    ]


def read(content: Any) -> Content:
    """Everything of one message's content; what is odd counts as absent."""
    if isinstance(content, str):
        return Content(text=content)
    out = Content()
    texts: list[str] = []
    results: list[str] = []
    blocks = value.items(content)
    for index, block in enumerate(blocks):
        if isinstance(block, str):
            texts.append(block)
        elif isinstance(block, dict):
            if marked(block):
                out.marked = True
                out.marked_early |= index < len(blocks) - 1
            if is_result(block):
                _result(block, out, results)
            else:
                _block(block, out, texts)
    out.text = "\n".join(texts)
    out.result = "\n".join(results)
    return out


def _block(block: Mapping[str, Any], out: Content, texts: list[str]) -> None:
    kind = value.text(block.get("type"))
    field = _TEXTS.get(kind)
    if field is not None:
        texts.append(value.text(block.get(field)))
    elif kind in _IMAGES:
        out.images += 1
    elif kind in _CALLS:
        out.tool_calls += 1
        out.hidden += value.size(block.get("input"))
    elif kind not in _HIDDEN:
        out.attachments += 1
        source = value.mapping(block.get("source"))
        if source.get("type") == "text":
            texts.append(value.text(source.get("data")))


def _result(block: Mapping[str, Any], out: Content, results: list[str]) -> None:
    inner = block.get("content")
    if isinstance(inner, str):
        results.append(inner)
        return
    texts: list[str] = []
    for part in value.items(inner):
        if isinstance(part, dict) and not is_result(part):
            _block(part, out, texts)
    results.append("\n".join(texts))
