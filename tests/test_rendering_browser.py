"""Reports, and what other commands tell, in a real browser: `make test-all`.

The browser is Chromium (Debian's package `chromium`).
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from budget_proxy.analytics.rendering.document import document, span
from budget_proxy.analytics.rendering.page import page
from tests.test_cli_formats import TITLES, told
from tests.test_rendering import report

LONG = "an-agent-with-quite-a-long-name-" * 3

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


class Witness:
    """A server on loopback that notes which paths were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def names(self) -> list[str]:
        """Names that a careless page would run or load."""
        return [
            f"<script>fetch('{self.url}/script')</script>",
            f'"><img src="{self.url}/image" onerror="document.title=\'pwned\'">',
            f"<style>@import '{self.url}/style';</style>",
            "<svg onload=\"document.title='pwned'\">",
        ]


@pytest.fixture
def witness() -> Iterator[Witness]:
    """One that runs."""
    found = Witness()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def rendered(path: Path, *options: str) -> str:
    """The document as a browser has it, when it has loaded and run all there is."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "this test needs a browser: apt-get install chromium"
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions",
        "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={path.parent / 'profile'}", *options, "--timeout=5000", "--dump-dom",
        path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    return done.stdout.decode()


def test_a_careless_page_would_be_caught(witness: Witness, tmp_path: Path) -> None:
    """The same names, written as they are, without a policy: they load, run and change the title.

    So that the next test means something.
    """
    path = tmp_path / "careless.html"
    path.write_text(f"<!doctype html><title>t</title><body>{''.join(witness.names())}</body>")
    assert "<title>pwned</title>" in rendered(path)
    assert {"/script", "/image"} <= set(witness.asked)


def test_in_a_browser_nothing_runs_and_nothing_is_asked_for(
    witness: Witness, tmp_path: Path
) -> None:
    """Hostile agents, models and calls: their names are there to read, and that is all."""
    found, path = report(*witness.names()), tmp_path / "report.html"
    path.write_text(page("Token budgets", span(found), document(found, "group")))
    seen = rendered(path)
    assert witness.asked == []
    assert "<title>Token budgets</title>" in seen
    assert seen.count("<script") == seen.count("<img") == 0
    assert all(name in unescape(seen) for name in witness.names())
    assert seen.count("<svg") >= 5
    assert "Budgets against their targets" in seen


def test_what_commands_tell_runs_nothing_either(witness: Witness, tmp_path: Path) -> None:
    """Each of the pages, with another of the hostile names as an agent's."""
    commands = ("trends", "project", "suggest", "alerts")
    for command, name in zip(commands, witness.names(), strict=True):
        path = tmp_path / "told.html"
        path.write_text(told(command, tmp_path, "html", name))
        seen = rendered(path)
        assert f"<title>{TITLES[command]}</title>" in seen
        assert seen.count("<script") == seen.count("<img") == 0
        assert name in unescape(seen)
    assert witness.asked == []


@pytest.mark.parametrize("width", [1200, 390])
def test_a_page_is_no_wider_than_its_window(width: int, tmp_path: Path) -> None:
    """On a desk and on a phone: what is wide scrolls within itself."""
    found = report("coder", LONG)
    assert wide(page("Token budgets", span(found), document(found, "group")), width, tmp_path)


@pytest.mark.parametrize("command", ["trends", "project", "suggest", "alerts"])
def test_what_commands_tell_is_no_wider_than_a_phone(command: str, tmp_path: Path) -> None:
    """With a long name, and a command that is never broken into two."""
    assert wide(told(command, tmp_path, "html", LONG), 390, tmp_path)


def wide(text: str, width: int, directory: Path) -> bool:
    """Whether a page is as wide as its window, no more (asked of the browser)."""
    ask = (
        "<script>addEventListener('load', () => { document.title = "
        "`${document.documentElement.scrollWidth} of ${innerWidth}` })</script>"
    )
    policy = text[text.index("<meta http-equiv") : text.index("<meta name=")]
    (directory / "page.html").write_text(text.replace(policy, ask))
    # Chromium's own windows are 500 pixels wide at least: a frame is as narrow as a phone.
    frame = directory / "frame.html"
    frame.write_text(
        f"<!doctype html><iframe src='page.html' width='{width}' height='900'></iframe><script>"
        "addEventListener('load', () => { document.title = frames[0].document.title })</script>"
    )
    seen = rendered(frame, "--allow-file-access-from-files", f"--window-size={width + 100},1000")
    return f"<title>{width} of {width}</title>" in seen
