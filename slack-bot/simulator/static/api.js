// The control API: the only way this page talks to the simulator.

async function readBody(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `The simulator responded with ${response.status}.`);
  return body;
}

export async function ask(path, query = {}) {
  return readBody(await fetch(`/control/${path}?${new URLSearchParams(query)}`, { cache: "no-store" }));
}

export async function tell(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return readBody(await fetch(`/control/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}
