"""Budget an agent's run: what the model is told, an extension with a reason, and the hard stop.

The provider is scripted, so that this runs anywhere: each of its answers uses 1,000 tokens.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai

from budget_proxy import Engine, wrap
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.store import open_store

EXTENDED = 4
"""The call after which the agent asks for more."""


class Provider(BaseHTTPRequestHandler):
    """Answers every call the same, and prints what we added to the newest message."""

    def do_POST(self) -> None:
        """Answer a call."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        newest = body["messages"][-1]["content"]
        if isinstance(newest, list):
            print("  told:", newest[-1]["text"])
        message = {"role": "assistant", "content": "One test fewer fails."}
        answer = {
            "id": "a1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 800, "completion_tokens": 200, "total_tokens": 1000},
        }  # fmt: skip
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


provider = HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()

history = "sqlite:///runs.db"
store = open_store(history)
store.save_limit(Limit("tokens", 6_000, "lifetime", (("run", EACH),)))  # each run's hard stop
store.close()

coder = {"coder": {"run_tokens": 5_000}}  # else p75 of the coder's own runs, once there are eight
with Engine.open(history, agents=coder, holdout=0.0) as engine:
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    plain = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    client = wrap(plain, engine=engine, agent="coder")
    messages = [{"role": "user", "content": "Make the tests pass."}]
    for turn in range(1, 12):
        print("call", turn)
        try:
            answer = client.chat.completions.create(
                model="gpt-5.4", messages=messages, max_completion_tokens=300,  # type: ignore[arg-type]
                extra_headers={"x-budget-run": "ticket-12"},
            )  # fmt: skip
        except openai.RateLimitError as error:
            print("  stopped:", error.body["message"])  # type: ignore[index]
            break
        messages += [
            {"role": "assistant", "content": answer.choices[0].message.content or ""},
            {"role": "user", "content": "Two tests still fail. Go on."},
        ]
        if turn == EXTENDED:
            engine.extend_run("ticket-12", tokens=2_000, reason="two tests still fail")
    status = engine.run_status("ticket-12")
    print(
        f"{status.turns} calls, {status.tokens} tokens, {status.state}, {status.left_tokens} left"
    )
    plain.close()
provider.shutdown()
provider.server_close()
