"""One endpoint: what it is asked, and what answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote

from pydantic import ValidationError

from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.question import Question
from budget_proxy.proxy.admin.refusal import Refusal, wrong
from budget_proxy.store.keys import Role

_MOST_PARAMETERS: Final = 100
_IN_PATH: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Endpoint:
    """What ``method`` and ``path`` (under ``/v1/budget``) ask: a ``question``, and its ``answer``.

    Names in braces in the path are parameters, as those of the query are. ``body`` names the
    parameter that is the request's JSON body, a model or what ``schema`` describes; ``asker`` the
    one that is the id of the virtual key that it came with. With ``slashes`` parameters in the
    path may have some. ``respond`` runs in a worker thread; it may block, and raise Refusal,
    InvalidInput and StoreError.

    Of those who need a key the ``role`` decides who may ask: approvers what is only read, admins
    what changes something, unless it is given.
    """

    method: Literal["GET", "POST"]
    path: str
    question: type[Question]
    answer: Any
    respond: Callable[[Engine, Any], Any]
    body: str | None = None
    schema: Mapping[str, Any] | None = None
    asker: str | None = None
    role: Role | None = None
    slashes: bool = False

    @property
    def needs(self) -> Role:
        """The least role that may ask."""
        return self.role or ("approver" if self.method == "GET" else "admin")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters in path and query."""
        apart = {self.body, self.asker}
        return tuple(name for name in self.question.model_fields if name not in apart)

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.respond.__doc__ or "").partition("\n")[0]

    @property
    def in_path(self) -> tuple[str, ...]:
        """The names of the parameters in the path."""
        return tuple(_IN_PATH.findall(self.path))

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters in a path as it was sent; ``None`` if it is another's."""
        kind = ".+" if self.slashes else "[^/]+"
        found = re.fullmatch(_IN_PATH.sub(rf"(?P<\1>{kind})", self.path), path)
        return None if found is None else {k: unquote(v) for k, v in found.groupdict().items()}

    def ask(
        self, path: Mapping[str, str], query: str, body: Any = None, asker: str | None = None
    ) -> Question:
        """The question that a request asks. Raises Refusal."""
        given = self._given(query)
        if self.body is not None:
            given[self.body] = body
        if self.asker is not None:
            given[self.asker] = asker
        try:
            return self.question(**given, **path)
        except ValidationError as error:
            raise wrong(error, self.body, self._parts_of_body()) from None

    def _parts_of_body(self) -> Iterable[str]:
        if self.body is None:
            return ()
        return getattr(self.question.model_fields[self.body].annotation, "model_fields", ())

    def _given(self, query: str) -> dict[str, Any]:
        known = [name for name in self.parameters if name not in self.in_path]
        given: dict[str, Any] = {}
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError:
            raise Refusal(400, f"at most {_MOST_PARAMETERS} parameters are read") from None
        for name, value in pairs:
            if name not in known:
                there = f"there are {', '.join(known)}" if known else "there are none"
                raise Refusal(400, f"no parameter {name[:40]!r} is known; {there}", param=name[:40])
            if name in given:
                raise Refusal(400, f"{name}: give it once", param=name)
            given[name] = value
        return given
