"""The caller's side, on ASGI messages made by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from budget_proxy.proxy.caller import Caller, CallerLeft
from budget_proxy.transport.coding import TooLarge

PART = {"type": "http.request", "body": b"12345", "more_body": True}
LAST = {"type": "http.request", "body": b"67"}
GONE = {"type": "http.disconnect"}


class Connection:
    """An ASGI server's ends: what is to be received, and what was sent."""

    def __init__(self, *messages: dict[str, Any], **scope: Any) -> None:
        self.messages = list(messages)
        self.sent: list[Any] = []
        facts = {"method": "POST", "path": "/v1/é", "query_string": b"a=b", "headers": []}
        self.caller = Caller({**facts, **scope}, self.receive, self.send)

    async def receive(self) -> dict[str, Any]:
        """The next message, or none for ever."""
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        """Take a message."""
        self.sent.append(message)


async def test_a_body_is_read_whole() -> None:
    """Parts are joined until the last."""
    assert await Connection(PART, LAST).caller.read(7) == b"1234567"


async def test_a_body_beyond_the_limit_is_read_on_but_not_kept() -> None:
    """So that the caller gets to reading the answer; not without end."""
    long = Connection(*[PART] * 100)
    with pytest.raises(TooLarge):
        await long.caller.read(10)
    assert len(long.messages) == 100 - 17  # 80 bytes are 16 parts, one more passes 8 x 10
    with pytest.raises(TooLarge):
        await Connection(PART, LAST).caller.read(6)


async def test_a_caller_that_leaves_sends_no_body() -> None:
    """Half a body is not a body."""
    with pytest.raises(CallerLeft):
        await Connection(PART, GONE).caller.read(100)


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], 0),
        ([(b"content-length", b"12")], 12),
        ([(b"transfer-encoding", b"chunked")], None),
        ([(b"content-length", b"many")], None),
    ],
)
def test_the_length_of_a_body(headers: list[tuple[bytes, bytes]], length: int | None) -> None:
    """As announced; unknown where it comes in chunks."""
    assert Connection(headers=headers).caller.length == length


def test_the_path_as_it_was_written() -> None:
    """The raw path is kept beside the readable one; servers may leave it out."""
    caller = Connection(raw_path=b"/v1/%C3%A9", server=("127.0.0.1", 1)).caller
    assert (caller.path, caller.raw_path, caller.address) == ("/v1/é", "/v1/%C3%A9", "127.0.0.1")
    assert Connection().caller.address is None


async def test_an_answer_in_one_piece() -> None:
    """Status, headers with the length, then the body."""
    connection = Connection()
    await connection.caller.answer(201, [("a", "b")], b"xyz")
    assert connection.sent == [
        {"type": "http.response.start", "status": 201,
         "headers": [(b"a", b"b"), (b"content-length", b"3")]},
        {"type": "http.response.body", "body": b"xyz", "more_body": False},
    ]  # fmt: skip


async def test_whether_a_caller_has_left() -> None:
    """Asked in passing: known if it left, and no wait if it did not."""
    assert await Connection(GONE).caller.has_left()
    assert not await Connection().caller.has_left()
    assert not await Connection(LAST).caller.has_left()


async def test_work_is_done_while_the_caller_is_here() -> None:
    """Work that ends ends normally, and its errors are its own."""
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    async def fail() -> None:
        raise KeyError

    await Connection().caller.while_here(work())
    assert done == [1]
    with pytest.raises(KeyError):
        await Connection().caller.while_here(fail())


async def test_work_ends_when_the_caller_leaves() -> None:
    """It is cancelled where it stands, and can clean up; the task itself goes on."""
    cleaned: list[int] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    with pytest.raises(CallerLeft):
        await Connection(LAST, GONE).caller.while_here(work())
    assert cleaned == [1]
    await asyncio.sleep(0.01)  # nothing of the cancellation is left over


async def test_a_cancelled_task_stays_cancelled() -> None:
    """The end of the server is not mistaken for a caller that left."""
    task = asyncio.ensure_future(Connection().caller.while_here(asyncio.sleep(5)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
