"""Starting a patched body: what every dialect does in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from budget_proxy.run_types import Note
from budget_proxy.types import Body, Call, Patch
from budget_proxy.wire import value
from budget_proxy.wire.place import with_notes


def begin(body: Mapping[str, Any], call: Call, patch: Patch) -> tuple[Body, Patch, list[str]]:
    """A copy of the body, the patch as far as it may be written, and the names written already.

    Nothing may be written into a signed body. The model is written here, unless the body names
    none: then it stands in the path, where it is not ours to change.
    """
    out = dict(body)
    if call.signed:
        return out, Patch(), []
    if patch.model is None:
        return out, patch, []
    if value.name(body.get("model")) is None:
        return out, replace(patch, model=None), []
    out["model"] = patch.model
    return out, patch, ["model"]


def note(out: Body, patch: Patch, key: str, kind: str = "text") -> tuple[Note, ...]:
    """Write what a model is told of its run into the messages under ``key``; the notes written.

    Before guidance, which may add messages: notes count those of the caller.
    """
    if not patch.notes:
        return ()
    out[key], written = with_notes(out.get(key), patch.notes, kind)
    return written
