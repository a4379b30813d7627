// The message box, with slash commands suggested while typing.

import { tell } from "./api.js";
import { byId, el } from "./dom.js";
import { refresh, replyTo, store } from "./store.js";

let active = 0;
let shown = [];

export function showComposer({ state, thread }) {
  const foot = byId("foot");
  const signature = `${state.channel.id} ${state.channel.archived} ${state.channel.has_bot} ${thread}`;
  if (foot.dataset.signature === signature) return;
  const kept = byId("composer")?.value || "";
  const focused = document.activeElement?.id === "composer";
  foot.dataset.signature = signature;
  foot.replaceChildren(...(state.channel.archived ? [archived()] : box(state)));
  if (!state.channel.archived) byId("composer").value = kept;
  if (focused) byId("composer")?.focus();
}

const archived = () => el("p", { class: "note" }, "This channel is archived: nobody can write here.");

function box(state) {
  const name = state.channel.kind === "im" ? state.bot.name : `#${state.channel.name}`;
  const input = el("textarea", {
    id: "composer", rows: 1, "data-testid": "composer", placeholder: `Message ${name}`, "aria-label": `Message ${name}`,
    "aria-autocomplete": "list", "aria-controls": "commands", maxlength: 4000, oninput: typed, onkeydown: key,
    onblur: () => suggest([]),
  });
  return [
    !state.channel.has_bot && el("p", { class: "note" }, `${state.bot.name} is not in this channel. `, el("code", {}, "/invite"),
      " adds it."),
    store.thread && el("p", { class: "note", "data-testid": "thread" }, "Replying in a thread. ",
      el("button", { type: "button", class: "button quiet", onclick: () => replyTo(null) }, "Leave the thread")),
    el("ul", { id: "commands", class: "commands", role: "listbox", "aria-label": "Commands", hidden: true }),
    el("div", { class: "composer" }, input,
      el("button", { type: "button", class: "button solid primary send", "aria-label": "Send", onclick: send }, "➤")),
    el("p", { id: "sending", class: "sending", role: "status" }),
  ].filter(Boolean);
}

function typed() {
  const input = byId("composer");
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 160)}px`;
  const text = input.value;
  const isCommand = /^\/[\w-]*$/.test(text);
  suggest(isCommand ? store.state.commands.filter((one) => one.command.startsWith(text)) : []);
}

function suggest(commands) {
  shown = commands;
  active = Math.min(active, Math.max(0, commands.length - 1));
  const list = byId("commands");
  if (!list) return;
  list.hidden = !commands.length;
  list.replaceChildren(...commands.map((one, index) =>
    el("li", {
      role: "option", id: `command-${index}`, "aria-selected": String(index === active), class: index === active ? "active" : "",
      onmousedown: (event) => { event.preventDefault(); complete(one); },
    }, el("strong", {}, one.command), " ", el("span", { class: "faint" }, one.usage_hint), el("small", {}, one.description))));
  const input = byId("composer");
  if (commands.length) input.setAttribute("aria-activedescendant", `command-${active}`);
  else input.removeAttribute("aria-activedescendant");
}

function complete(command) {
  const input = byId("composer");
  input.value = `${command.command} `;
  suggest([]);
  input.focus();
}

function key(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (shown.length && step) {
    event.preventDefault();
    active = (active + step + shown.length) % shown.length;
    suggest(shown);
  } else if (shown.length && event.key === "Tab") {
    event.preventDefault();
    complete(shown[active]);
  } else if (shown.length && event.key === "Escape") {
    suggest([]);
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    const exact = shown.some((one) => one.command === byId("composer").value.trim());
    if (shown.length && !exact) complete(shown[active]);
    else send();
  }
}

async function send() {
  const input = byId("composer");
  const text = input.value.trim();
  if (!text) return;
  const { user, channel, thread } = store;
  input.value = "";
  typed();
  const status = byId("sending");
  status.textContent = text.startsWith("/") ? `${text.split(/\s/)[0]}…` : "";
  try {
    await tell("say", { user, channel, text, ...(thread && { thread_ts: thread }) });
    status.textContent = "";
  } catch (error) {
    status.textContent = error instanceof TypeError ? "Not sent: the simulator does not respond." : error.message;
    input.value ||= text;
  }
  refresh();
}
