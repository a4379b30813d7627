// The control API: the only way this page talks to the simulator.

async function answerOf(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `The simulator answered ${response.status}.`);
  return answer;
}

export async function ask(path, query = {}) {
  return answerOf(await fetch(`/control/${path}?${new URLSearchParams(query)}`, { cache: "no-store" }));
}

export async function tell(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return answerOf(await fetch(`/control/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}
