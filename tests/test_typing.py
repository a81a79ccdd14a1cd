"""What type checkers say of programs that use us: mypy and (based)pyright, both in strict mode.

Each checks one program made of the lines below; the types that it reveals are compared exactly,
module names aside, which only mypy prints.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anthropic
import openai
import pytest

ROOT = Path(__file__).parent.parent
HEAD = """
import anthropic as anthropic_sdk
import openai as openai_sdk
import httpx2
from anthropic.types import MessageParam, RawMessageStreamEvent
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from budget_proxy import Engine, budget, wrap
from budget_proxy import anthropic, openai

class City(BaseModel):
    name: str

class Wrong:
    pass

engine = Engine.open("memory:")
gpt = openai.OpenAI(engine=engine)
agpt = openai.AsyncOpenAI(engine=engine)
claude = anthropic.Anthropic(engine=engine)
aclaude = anthropic.AsyncAnthropic(engine=engine)
messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
turns: list[MessageParam] = [{"role": "user", "content": "hello"}]
"""
REVEALED = {
    'openai.OpenAI(api_key="k", agent="a", mode="observe")': "OpenAI",
    "openai.Client()": "OpenAI",
    "openai.AsyncClient()": "AsyncOpenAI",
    'openai.AzureOpenAI(api_version="v", azure_endpoint="e", thinking="auto")': "AzureOpenAI",
    'openai.AsyncAzureOpenAI(api_version="v", base_url="u", effort="auto")': "AsyncAzureOpenAI",
    'anthropic.Anthropic(auth_token="t", agent="a")': "Anthropic",
    "anthropic.Client()": "Anthropic",
    "anthropic.AsyncClient()": "AsyncAnthropic",
    "gpt.with_options(timeout=5)": "OpenAI",
    "wrap(openai_sdk.OpenAI(), engine=engine, agent='a')": "OpenAI",
    "wrap(openai_sdk.AsyncAzureOpenAI(api_version='v', azure_endpoint='e'))": "AsyncAzureOpenAI",
    "wrap(anthropic_sdk.AsyncAnthropic())": "AsyncAnthropic",
    "gpt.chat.completions.create(model='m', messages=messages)": "ChatCompletion",
    "gpt.chat.completions.create(model='m', messages=messages, stream=True)": (
        "Stream[ChatCompletionChunk]"
    ),
    "gpt.chat.completions.parse(model='m', messages=messages, response_format=City)": (
        "ParsedChatCompletion[City]"
    ),
    "gpt.chat.completions.with_raw_response.create(model='m', messages=messages).parse()": (
        "ChatCompletion"
    ),
    "gpt.responses.create(model='m', input='hello')": "Response",
    "gpt.responses.parse(model='m', input='hello', text_format=City)": "ParsedResponse[City]",
    "claude.messages.create(model='m', messages=turns, max_tokens=9)": "Message",
    "claude.messages.count_tokens(model='m', messages=turns)": "MessageTokensCount",
}
"""Expressions, and the type that both checkers are to reveal."""
AWAITED = {
    "agpt.chat.completions.create(model='m', messages=messages)": "ChatCompletion",
    "agpt.chat.completions.create(model='m', messages=messages, stream=True)": (
        "AsyncStream[ChatCompletionChunk]"
    ),
    "agpt.responses.create(model='m', input='hello')": "Response",
    "aclaude.messages.create(model='m', messages=turns, max_tokens=9)": "Message",
}
"""The same of what is awaited."""
REPORTED = {
    "b.calls": "list[CallReport]",
    "b.calls[0].usage.output_tokens": "int | None",
    "b.calls[0].cost": "float | None",
    "b.calls[0].plan.allocation.cap": "int | None",
    "b.calls[0].record.finish_reason": "str",
}
"""The same inside ``with budget(...) as b``."""
ACCEPTED = (
    "sync: openai_sdk.OpenAI = gpt",
    "asynchronous: openai_sdk.AsyncOpenAI = agpt",
    "azure: openai_sdk.AzureOpenAI = openai.AzureOpenAI(api_version='v', azure_endpoint='e')",
    "both: openai_sdk.OpenAI = openai.AzureOpenAI(api_version='v', azure_endpoint='e')",
    "message: anthropic_sdk.Anthropic = claude",
    "amessage: anthropic_sdk.AsyncAnthropic = aclaude",
    "openai.OpenAI(http_client=httpx2.Client(), max_retries=0, default_headers={'a': 'b'})",
    "openai.OpenAI(api_key=lambda: 'k', timeout=openai.Timeout(5), base_url=None)",
    "anthropic.AsyncAnthropic(http_client=httpx2.AsyncClient(), base_url='u', agent=None)",
    "events = gpt.responses.create(model='m', input='hello', stream=True)",
    "openai_events: openai_sdk.Stream[ResponseStreamEvent] = events",
    "raw = claude.messages.create(model='m', messages=turns, max_tokens=9, stream=True)",
    "anthropic_events: anthropic_sdk.Stream[RawMessageStreamEvent] = raw",
    "ours: type[openai_sdk.RateLimitError] = openai.RateLimitError",
)
"""Statements that are right."""
REFUSED = (
    "openai.OpenAI(colour='red')",
    "openai.OpenAI(engine='memory:')",
    "openai.OpenAI(mode='strict')",
    "openai.OpenAI(agent=5)",
    "openai.OpenAI(api_key=5)",
    "openai.OpenAI(max_retries='three')",
    "openai.OpenAI(http_client=httpx2.AsyncClient())",
    "openai.AsyncOpenAI(http_client=httpx2.Client())",
    "openai.AzureOpenAI(azure_endpoint=5)",
    "openai.AsyncAzureOpenAI(data_residency='eu')",
    "anthropic.Anthropic(effort=3)",
    "anthropic.Anthropic(organization='o')",
    "anthropic.AsyncAnthropic(timeout='soon')",
    "wrap(openai_sdk.OpenAI(), colour='red')",
    "wrap(openai_sdk.OpenAI(), mode='strict')",
    "gpt.chat.completions.create(model='m', messages=messages, max_tokens='many')",
    "for_another: openai_sdk.AsyncOpenAI = gpt",
    "for_a_third: openai_sdk.OpenAI = wrap(anthropic_sdk.Anthropic())",
    "with budget(cap='200'): pass",
    "with budget(colour='red'): pass",
)
"""Statements with one mistake each."""
CLIENTS = {
    "openai": (openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI, openai.AsyncAzureOpenAI),
    "anthropic": (anthropic.Anthropic, anthropic.AsyncAnthropic),
}
SWAPPED = {
    "Client", "AsyncClient", "BedrockOpenAI", "AsyncBedrockOpenAI",
    *(kind.__name__ for kinds in CLIENTS.values() for kind in kinds),
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What a checker said of a program: revealed types and errors, by line from 1."""

    revealed: Mapping[int, str]
    errors: Mapping[int, str]


def _mypy(program: str, home: Path) -> Said:
    script = home / "program.py"
    script.write_text(program)
    done = _run("mypy", "--config-file=pyproject.toml", "--no-error-summary", str(script))
    found = re.findall(r"^\S+?program\.py:(\d+): (\w+): (.*)$", done, re.MULTILINE)
    revealed, errors = {}, {}
    for line, severity, message in found:
        if severity == "error":
            errors[int(line)] = message
        elif (type_ := re.match(r'Revealed type is "(.*)"$', message)) is not None:
            revealed[int(line)] = type_[1]
    return Said(revealed, errors)


def _pyright(program: str, home: Path) -> Said:
    script = home / "program.py"
    script.write_text(program)
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["program.py"]}
    (home / "pyrightconfig.json").write_text(json.dumps(settings))
    interpreter = f"--pythonpath={sys.executable}"
    done = json.loads(_run("basedpyright", "--outputjson", interpreter, f"--project={home}"))
    revealed, errors = {}, {}
    for found in done["generalDiagnostics"]:
        line, message = found["range"]["start"]["line"] + 1, found["message"]
        if found["severity"] == "error":
            errors[line] = message
        elif (type_ := re.match(r'Type of ".*" is "(.*)"$', message, re.DOTALL)) is not None:
            revealed[line] = type_[1]
    return Said(revealed, errors)


CHECKERS = {"mypy": _mypy, "pyright": _pyright}
checkers = pytest.mark.parametrize("checker", CHECKERS)
pytestmark = pytest.mark.xdist_group("typing")  # what a checker said once is remembered


def _run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


@cache
def _said(checker: str, program: str) -> Said:
    with TemporaryDirectory() as home:
        return CHECKERS[checker](program, Path(home))


def _short(type_: str) -> str:
    """A type without the names of modules."""
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", type_)


def _program() -> tuple[str, dict[int, str], list[int]]:
    """The program, what is to be revealed in its lines, and the lines that are to be refused."""
    lines = HEAD.splitlines()
    revealed: dict[int, str] = {}
    for expression, type_ in REVEALED.items():
        lines.append(f"reveal_type({expression})")
        revealed[len(lines)] = type_
    lines.append("async def awaited() -> None:")
    for expression, type_ in AWAITED.items():
        lines.append(f"    reveal_type(await {expression})")
        revealed[len(lines)] = type_
    lines.append("with budget(cap=200, agent='a') as b:")
    for expression, type_ in REPORTED.items():
        lines.append(f"    reveal_type({expression})")
        revealed[len(lines)] = type_
    lines += ACCEPTED
    refused = range(len(lines) + 1, len(lines) + 1 + len(REFUSED))
    return "\n".join([*lines, *REFUSED]) + "\n", revealed, list(refused)


@checkers
def test_types_are_revealed_as_with_the_sdk(checker: str) -> None:
    """Clients, what ``wrap`` returns, answers, streams, parsed models, reports of calls."""
    program, expected, _ = _program()
    said = _said(checker, program)
    assert {line: _short(type_) for line, type_ in said.revealed.items()} == expected


@checkers
def test_wrong_arguments_are_errors_and_right_ones_are_none(checker: str) -> None:
    """Each mistake is found on its line, and nowhere else is anything found."""
    program, _, refused = _program()
    said = _said(checker, program)
    lines = dict(enumerate(program.splitlines(), start=1))
    found = {line: message for line, message in said.errors.items() if line not in refused}
    assert {lines[line]: message for line, message in found.items()} == {}
    assert [lines[line] for line in refused if line not in said.errors] == []


@checkers
@pytest.mark.parametrize("sdk", CLIENTS)
def test_every_argument_of_the_sdks_constructors_is_known(checker: str, sdk: str) -> None:
    """A new SDK's new argument that our types do not know fails here."""
    lines = ["from typing import Any", f"from budget_proxy import {sdk}", "any_: Any = None"]
    for kind in CLIENTS[sdk]:
        names = list(inspect.signature(kind.__init__).parameters)[1:]
        assert "http_client" in names
        lines += [f"{sdk}.{kind.__name__}({name}=any_)" for name in names]
    said = _said(checker, "\n".join(lines) + "\n")
    assert {lines[line - 1]: message for line, message in said.errors.items()} == {}


@checkers
@pytest.mark.parametrize("sdk", CLIENTS)
def test_everything_else_has_the_types_of_the_sdk(checker: str, sdk: str) -> None:
    """All public names but the clients: errors, types, helpers, constants."""
    module: Any = {"openai": openai, "anthropic": anthropic}[sdk]
    names = sorted(set(module.__all__) - SWAPPED)
    lines = [f"import {sdk}", f"from budget_proxy import {sdk} as ours"]
    lines += [f"reveal_type({owner}.{name})" for name in names for owner in (sdk, "ours")]
    revealed = _said(checker, "\n".join(lines) + "\n").revealed
    theirs = {name: revealed.get(3 + 2 * index) for index, name in enumerate(names)}
    ours = {name: revealed.get(4 + 2 * index) for index, name in enumerate(names)}
    assert None not in theirs.values()
    assert ours == theirs
