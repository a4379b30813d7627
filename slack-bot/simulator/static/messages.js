// The messages of the open channel. A message is drawn once and again only when it was edited.

import { tell } from "./api.js";
import { drawBlocks } from "./blocks.js";
import { byId, el } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { color, initials, personName } from "./names.js";
import { refresh, replyTo, store } from "./store.js";

let drawn = new Map();
let shownPlace = "";
const NEAR_END_PIXELS = 80;

// Narrower, wider or after an image has loaded: who reads the newest messages still reads them.
let wasAtEnd = true;
addEventListener("scroll", (event) => {
  if (event.target.id === "log") wasAtEnd = isAtEnd(event.target);
}, { capture: true, passive: true });
const keepAtEnd = () => {
  const log = byId("log");
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
};
addEventListener("resize", keepAtEnd);
addEventListener("load", (event) => event.target.tagName === "IMG" && keepAtEnd(), { capture: true });

const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PIXELS;

export function showMessages({ state }) {
  const log = byId("log");
  const place = `${state.boot} ${state.me.id} ${state.channel.id}`;
  const moved = place !== shownPlace;
  const atEnd = moved || isAtEnd(log);
  if (moved) drawn = new Map();
  shownPlace = place;
  log.setAttribute("aria-label", `Messages in ${state.channel.name}`);
  const nodes = inThreads(state.messages).map((message) => nodeOf(message));
  drawn = new Map(nodes.map((node) => [node.dataset.key, node]));
  place_(log, nodes.length ? nodes : [empty(state)]);
  wasAtEnd = atEnd;
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// Puts nodes in order without touching those that already stand right: focus and selection survive.
function place_(log, nodes) {
  const wanted = new Set(nodes);
  [...log.childNodes].forEach((node) => wanted.has(node) || node.remove());
  nodes.forEach((node, index) => {
    if (log.childNodes[index] !== node) log.insertBefore(node, log.childNodes[index] || null);
  });
}

function inThreads(messages) {
  const roots = messages.filter((message) => !message.thread_ts || message.thread_ts === message.ts);
  const known = new Set(roots.map((message) => message.ts));
  const replies = (ts) => messages.filter((message) => message.thread_ts === ts && message.ts !== ts);
  const lost = messages.filter((message) => message.thread_ts && !known.has(message.thread_ts));
  return [...roots.flatMap((message) => [message, ...replies(message.ts)]), ...lost];
}

function nodeOf(message) {
  const key = `${message.ts}:${message.revision}`;
  return drawn.get(key) || draw(message, key);
}

function draw(message, key) {
  const name = personName(message.user);
  const kind = message.user === store.state.system.id ? "system" : message.bot_id ? "app" : "person";
  const isReply = message.thread_ts && message.thread_ts !== message.ts;
  const classes = ["message", kind, message.ephemeral && "ephemeral", isReply && "reply"].filter(Boolean).join(" ");
  return el("article", {
    class: classes, "data-testid": "message", "data-key": key, "data-ts": message.ts, "data-user": message.user,
    "data-ephemeral": String(message.ephemeral), "aria-label": `${name}, ${clock(message.ts)}`,
  },
    el("div", { class: `avatar ${kind === "person" ? color(message.user) : kind}`, "aria-hidden": "true" }, initials(name)),
    el("div", { class: "message-body" },
      message.ephemeral && el("p", { class: "only-you" }, el("span", { "aria-hidden": "true" }, "◉ "), "Only visible to you"),
      el("p", { class: "byline" }, el("strong", {}, name), kind === "app" && el("span", { class: "badge" }, "APP"),
        isReply && el("span", { class: "faint" }, "replied in a thread"),
        el("time", { datetime: new Date(message.ts * 1000).toISOString() }, clock(message.ts))),
      content(message),
      !message.ephemeral && kind !== "system" && el("button", {
        type: "button", class: "reply-button", onclick: () => answer(message),
      }, "Reply in thread"),
      message.edited && el("span", { class: "faint edited" }, "(edited)")));
}

function answer(message) {
  replyTo(message.thread_ts || message.ts);
  byId("composer")?.focus();
}

function content(message) {
  const body = message.blocks?.length ? el("div", { class: "blocks" }, drawBlocks(message.blocks, surface(message)))
    : el("div", { class: "text" }, mrkdwn(message.text));
  return [body, (message.files || []).map(file)];
}

function file({ id, name, title, mimetype, size, alt_txt }) {
  const url = `/files/${id}/${encodeURIComponent(name)}`;
  if (mimetype.startsWith("image/")) return el("img", { src: url, alt: alt_txt || title, class: "wide", "data-testid": "file-image" });
  return el("p", { class: "file", "data-testid": "file" }, el("a", { href: url, download: name }, title),
    el("span", { class: "faint" }, ` ${mimetype.split("/").at(-1).toUpperCase()} · ${sizeOf(size)}`));
}

const sizeOf = (bytes) => (bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function surface(message) {
  const place = (block, element) => ({
    user: store.user, channel: message.channel, ts: message.ts, block_id: block.block_id, action_id: element.action_id,
  });
  return {
    act: (block, element, value) => tell("use", { ...place(block, element), value }).catch(() => {}).finally(refresh),
    ask: (block, element, query) =>
      tell("options", { ...place(block, element), query }).catch((error) => ({ options: [], problem: error.message })),
    values: initialValues(message.blocks),
  };
}

// Messages carry no state of their own: what they start with is in their elements.
function initialValues(blocks) {
  const values = {};
  for (const block of blocks) {
    for (const element of [block.accessory, block.element, ...(block.type === "actions" ? block.elements : [])]) {
      if (element?.action_id) (values[block.block_id] ||= {})[element.action_id] = initial(element);
    }
  }
  return values;
}

function initial(element) {
  const state = { value: element.initial_value };
  for (const [name, value] of Object.entries(element)) {
    if (name.startsWith("initial_") && name !== "initial_value") state[name.replace("initial_", "selected_")] = value;
  }
  return state;
}

const clock = (ts) => new Date(ts * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function empty(state) {
  const about = state.channel.kind === "im" ? `This is your conversation with ${state.bot.name}.`
    : `This is the beginning of #${state.channel.name}.`;
  return el("div", { class: "empty" }, el("p", {}, about),
    !state.channel.archived && el("p", { class: "faint" }, "Type ", el("code", {}, state.commands[0]?.command || "/"), " to begin."));
}
