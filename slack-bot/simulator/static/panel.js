// The control panel: make things go wrong, look at what was said.

import { administration } from "./administration.js";
import { ask, tell } from "./api.js";
import { byId, el, freshId } from "./dom.js";
import { refresh } from "./store.js";

const METHODS = [
  "*", "views.open", "views.update", "views.push", "chat.postMessage", "chat.postEphemeral", "chat.update",
  "conversations.open", "users.info", "auth.test", "response_url",
];
const ERRORS = [
  "ratelimited", "expired_trigger_id", "not_in_channel", "channel_not_found", "is_archived", "hash_conflict",
  "not_found", "internal_error", "invalid_auth",
];
let version = -1;

export function togglePanel() {
  const panel = byId("panel");
  panel.hidden = !panel.hidden;
  byId("panel-button").setAttribute("aria-expanded", String(!panel.hidden));
  if (panel.hidden) return void byId("panel-button").focus();
  if (!panel.childElementCount) panel.append(...contents());
  panel.querySelector("button").focus();
  version = -1;
  refresh();
}

export async function showPanel({ state }) {
  if (byId("panel").hidden || version === state.version) return;
  version = state.version;
  const armed = [...state.faults.calls, ...state.faults.deliveries].map((fault) => JSON.stringify(fault));
  showAdministration(state);
  byId("armed").textContent = armed.length ? `Armed: ${armed.join(" ")}` : "Nothing is armed.";
  const log = await ask("log").catch(() => null);
  if (log) showLog(log);
}

function showAdministration(state) {
  const node = byId("administration");
  const opened = new Set([...node.querySelectorAll("details[open]")].map((one) => one.dataset.id));
  const focused = node.contains(document.activeElement) ? document.activeElement.id : null;
  node.replaceChildren(...administration(state, (text) => { byId("panel-status").textContent = text; }));
  for (const one of node.querySelectorAll("details")) one.open = opened.has(one.dataset.id);
  if (focused) byId(focused)?.focus();
}

function contents() {
  return [
    el("header", { class: "panel-head" }, el("h2", {}, "Controls"),
      el("button", { type: "button", class: "icon", "aria-label": "Close controls", onclick: togglePanel }, "×")),
    el("section", { class: "group", id: "administration" }),
    el("p", { class: "faint" }, "For tests of the bot only: they make things go wrong. Slack has nothing like them."),
    group("Repeat the last delivery", [number("times", "Times", 1, 1, 50), choice("signature", "Signature", ["fresh", "same"]),
      tick("at_once", "All at once")], "Repeat", "repeat"),
    group("Next deliveries to the bot", [number("delay_seconds", "Wait, seconds", 0, 0, 60), tick("lose", "Never arrive"),
      tick("drop", "Close the connection before the response"), number("times", "For how many", 1, 1, 1000)], "Arm", "faults/deliveries"),
    group("Next calls of the bot", [choice("method", "Method", METHODS), choice("error", "Error", ["", ...ERRORS]),
      number("retry_after", "Retry-After, seconds", 1, 0, 60), number("slow_seconds", "Slow by, seconds", 0, 0, 60),
      tick("drop", "Cut the connection"), tick("after", "Only after the work is done"),
      number("times", "For how many", 1, 1, 1000)], "Arm", "faults/calls"),
    group("Clock", [number("advance_seconds", "Move ahead, seconds", 4, 0, 31_622_400)], "Move", "clock"),
    el("section", { class: "group" }, el("p", { id: "armed", class: "faint" }), el("div", { class: "row" },
      plainButton("Disarm", "faults/clear"), plainButton("Start over", "reset"))),
    el("p", { id: "panel-status", role: "status", class: "faint" }),
    el("section", { class: "group", id: "journal" }),
  ];
}

function group(title, fields, verb, path) {
  const form = el("form", { class: "group", onsubmit: (event) => { event.preventDefault(); send(path, body(event.target)); } },
    el("h3", {}, title), fields, el("button", { type: "submit", class: "button" }, verb));
  form.setAttribute("aria-label", title);
  return form;
}

function field(label, input) {
  input.id = freshId("control");
  return el("div", { class: "row" }, el("label", { for: input.id }, label), input);
}

const number = (name, label, value, min, max) =>
  field(label, el("input", { type: "number", name, value, min, max, step: name.endsWith("seconds") ? "any" : "1" }));
const tick = (name, label) => field(label, el("input", { type: "checkbox", name }));
const choice = (name, label, values) =>
  field(label, el("select", { name }, values.map((value) => el("option", { value }, value || "none"))));
const plainButton = (text, path) => el("button", { type: "button", class: "button", onclick: () => send(path, {}) }, text);

function body(form) {
  const fields = [...form.elements].filter((input) => input.name);
  return Object.fromEntries(fields.map((input) => [input.name, valueOf(input)]));
}

function valueOf(input) {
  if (input.type === "checkbox") return input.checked;
  return input.type === "number" ? Number(input.value) : input.value;
}

async function send(path, fields) {
  const status = byId("panel-status");
  try {
    await tell(path, fields);
    status.textContent = "Done.";
  } catch (error) {
    status.textContent = error.message;
  }
  version = -1;
  refresh();
}

const SHOWN = 40;

function showLog({ calls, deliveries }) {
  const rows = [
    ...calls.map((call) => ({ ...call, line: `← ${call.method}`, result: call.response?.error || call.status })),
    ...deliveries.map((one) => ({ ...one, line: `→ ${one.kind}`, result: one.problem || one.failure || one.status })),
  ].sort((one, other) => other.id - one.id).slice(0, SHOWN);
  const journal = byId("journal");
  const opened = new Set([...journal.querySelectorAll("details[open]")].map((node) => node.dataset.id));
  journal.replaceChildren(el("h3", {}, "Log"), ...rows.map((row) => entry(row, opened)));
}

function entry({ line, result, ...row }, opened) {
  const bad = result !== 200 && result !== null;
  const shown = row.body ? { ...row, body: readable(row.body) } : row;
  return el("details", { "data-id": row.id, open: opened.has(String(row.id)) },
    el("summary", {}, el("span", {}, line), el("span", { class: bad ? "bad" : "good" }, String(result ?? "…"))),
    el("pre", {}, JSON.stringify(shown, null, 2)));
}

function readable(body) {
  const payload = new URLSearchParams(body).get("payload");
  try {
    return JSON.parse(payload ?? body);
  } catch {
    return Object.fromEntries(new URLSearchParams(body));
  }
}
