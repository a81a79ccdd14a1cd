// Doing one of several things with an SDK, and printing what came of it as one line of JSON.

export async function report(uses) {
  console.log(JSON.stringify(await outcome(uses[process.argv[2]])));
}

async function outcome(use) {
  try {
    return { got: await use() };
  } catch (error) {
    const { name } = error.constructor;
    const retryAfter = error.headers?.get("retry-after");
    return { error: { name, status: error.status, message: error.message, retryAfter } };
  }
}

export async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

// Leaves a stream at its first event. The process stays until its input ends, so that what the
// other end sees is the abort and no dying process.
export async function first(open) {
  const controller = new AbortController();
  const events = [];
  for await (const event of await open({ signal: controller.signal })) {
    events.push(event);
    controller.abort();
  }
  process.stdin.resume();
  return { events, aborted: controller.signal.aborted };
}
