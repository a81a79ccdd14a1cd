"""What the proxy adds to a call: ours beside a bare pass-through, in the same run.

    python benchmarks/proxy.py [--seconds 2] [--rounds 3] [--connections 8] [--json]

The floor is the least that a proxy on the same parts can do: uvicorn receives a body,
pyreqwest sends it on, the answer goes back; it reads, plans and remembers nothing. Both stand
before the same provider on loopback, each in a process of its own, and are loaded in turns;
the best round counts, for noise only ever adds. CPU is the server's own, user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from answers import CHAT, CHUNKS, MODELS
from loopback import provide, running, serve_floor, serve_ours

TICKS = os.sysconf("SC_CLK_TCK")
_TEXT = "The quick brown fox jumps over the lazy dog while the builders look on. " * 13


@dataclass(frozen=True)
class Measured:
    """One server under one kind of load: calls a second, CPU and median wait of a call."""

    rate: float
    cpu_us: float
    p50_ms: float


def request(*, stream: bool) -> bytes:
    """A chat call of 1 KB, as it goes over the wire."""
    body = json.dumps(
        {"model": MODELS[CHAT], "stream": stream, "messages": [{"role": "user", "content": _TEXT}]}
    ).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-none\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
    """One call, to the end of its answer."""
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
    if length:
        await reader.readexactly(int(length))
    else:
        await reader.readuntil(b"\r\n0\r\n\r\n")


async def load(port: int, sent: bytes, seconds: float, connections: int) -> list[float]:
    """Call without a pause on every connection; the seconds that each call took."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < until:
            await call(reader, writer, sent)
            took.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return took


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used (Linux; nan elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(port: int, pid: int, sent: bytes, seconds: float, connections: int) -> Measured:
    """One round of load."""
    before = cpu(pid)
    took = sorted(asyncio.run(load(port, sent, seconds, connections)))
    used = cpu(pid) - before
    return Measured(len(took) / seconds, used / len(took) * 1e6, took[len(took) // 2] * 1e3)


def in_turns(
    floor: tuple[int, int], ours: tuple[int, int], sent: bytes, given: argparse.Namespace
) -> dict[str, Measured]:
    """The best round of either, loaded in turns."""
    for port, _ in (floor, ours):  # connections and caches are warm after this
        asyncio.run(load(port, sent, 1.0, given.connections))
    rounds = [
        [measure(*server, sent, given.seconds, given.connections) for server in (floor, ours)]
        for _ in range(given.rounds)
    ]
    best = [min(of, key=lambda m: m.cpu_us) for of in zip(*rounds, strict=True)]
    return {"floor": best[0], "ours": best[1]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(provide) as (behind, _),
        running(serve_floor, f"http://127.0.0.1:{behind}") as floor,
        running(serve_ours, f"http://127.0.0.1:{behind}", folder) as ours,
    ):
        results = {
            kind: in_turns(floor, ours, request(stream=stream), given)
            for kind, stream in (("plain", False), (f"stream of {CHUNKS}", True))
        }
    show(results, as_json=given.json)


def show(results: dict[str, dict[str, Measured]], *, as_json: bool) -> None:
    """Print what was measured, with ours in multiples of the floor."""
    if as_json:
        facts = {kind: {who: vars(m) for who, m in pair.items()} for kind, pair in results.items()}
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    print(f"{'':14} {'':7} {'calls/s':>9} {'CPU us/call':>12} {'p50 ms':>8}")
    for kind, pair in results.items():
        for who, m in pair.items():
            print(f"{kind:14} {who:7} {m.rate:9.0f} {m.cpu_us:12.0f} {m.p50_ms:8.2f}")
        ratio = pair["ours"].cpu_us / pair["floor"].cpu_us
        added = pair["ours"].cpu_us - pair["floor"].cpu_us
        print(f"{kind:14} ours / floor {ratio:.2f} in CPU, {added:+.0f} us a call")


if __name__ == "__main__":
    main()
