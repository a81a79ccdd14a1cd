"""Many callers of a proxy at once, on bare sockets: an SDK's client would be the slower part.

Each makes one call after the other on a connection of its own, until that breaks.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import orjson

from tests.scripted_calls import header

AGENTS = ("coder", "writer", "tight")
MODEL = "gpt-5.4-mini"
MOST = 400
"""The callers' cap, in output tokens."""


@dataclass
class Told:
    """What callers were told: of each answered call its name, call id, and when (monotonic)."""

    answered: list[tuple[str, str, float]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


class Callers:
    """So many callers of a proxy on loopback; every other call is streamed.

    An answer takes ``seconds``, from and to. ``enough`` is set after that many answers.
    """

    def __init__(self, number: int, seed: str, seconds: tuple[float, float], enough: int) -> None:
        self.told = Told()
        self.enough = asyncio.Event()
        self._least = enough
        self._number = number
        self._seed = seed
        self._seconds = seconds

    async def run(self, port: int) -> None:
        """Call at ``port`` until every connection is broken, which is no error here."""
        await asyncio.gather(*(self._calls(port, caller) for caller in range(self._number)))

    async def _calls(self, port: int, caller: int) -> None:
        draw = random.Random(f"{self._seed}-{caller}")  # noqa: S311 (a repeatable load)
        number = 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        try:
            while True:
                await self._call(reader, writer, draw, f"{self._seed}-{caller}-{number}")
                number += 1
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _call(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        draw: random.Random,
        name: str,
    ) -> None:
        writer.write(self._request(draw, name))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        facts = dict(line.split(": ", 1) for line in head[1:] if line)
        if "chunked" in facts.get("transfer-encoding", ""):
            while size := int(await reader.readuntil(b"\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readuntil(b"\n")
        else:
            await reader.readexactly(int(facts["content-length"]))
        status = int(head[0].split(" ")[1])
        self.told.statuses[status] = self.told.statuses.get(status, 0) + 1
        if status == 200:
            self.told.answered.append((name, facts["x-budget-call-id"], time.monotonic()))
            if len(self.told.answered) >= self._least:
                self.enough.set()
        else:  # refused: somebody who waits a moment before trying again
            await asyncio.sleep(draw.uniform(0.3, 0.9))

    def _request(self, draw: random.Random, name: str) -> bytes:
        body = orjson.dumps(
            {
                "model": MODEL, "max_tokens": MOST, "stream": draw.random() < 0.5,
                "messages": [{"role": "user", "content": f"What is to be done of {name}?"}],
            }
        )  # fmt: skip
        tokens = min(round(draw.lognormvariate(4.5, 0.7)) + 1, MOST)
        headers = (
            ("host", "127.0.0.1"), ("content-type", "application/json"),
            ("authorization", "Bearer sk-callers"), ("content-length", str(len(body))),
            ("x-budget-agent", draw.choice(AGENTS)), ("x-budget-task", name),
            ("x-budget-user", f"user-{draw.randrange(5)}"),
            header(20, tokens, draw.uniform(*self._seconds)),
        )  # fmt: skip
        lines = [f"{key}: {value}" for key, value in headers]
        return "\r\n".join(["POST /v1/chat/completions HTTP/1.1", *lines, "", ""]).encode() + body
