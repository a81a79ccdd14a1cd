// Node's OpenAI SDK through the proxy: `budget-proxy serve`, `npm install openai`, then
// OPENAI_BASE_URL=http://127.0.0.1:4141/v1 node node_openai.mjs
import OpenAI from "openai";

const client = new OpenAI({ defaultHeaders: { "x-budget-agent": "geographer" } });
const stream = await client.chat.completions.create({
  model: "gpt-5.4",
  messages: [{ role: "user", content: "Name the capital of France in one sentence." }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");
console.log();
