// Node's Anthropic SDK through the proxy: `budget-proxy serve`, `npm install @anthropic-ai/sdk`,
// then ANTHROPIC_BASE_URL=http://127.0.0.1:4141 node node_anthropic.mjs
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ defaultHeaders: { "x-budget-agent": "geographer" } });
const { data: message, response } = await client.messages
  .create({
    model: "claude-haiku-5-5",
    max_tokens: 300,
    messages: [{ role: "user", content: "Name three rivers, one word each." }],
  })
  .withResponse();
for (const block of message.content) if (block.type === "text") console.log(block.text);
console.log("what was decided:", response.headers.get("x-budget-reason"));
