// Channels, the direct message with the bot, and who one is.

import { byId, el, hidden, lockIcon } from "./dom.js";
import { color, initials } from "./names.js";
import { actAs, openChannel, store } from "./store.js";

export function showSidebar({ state }) {
  const rooms = state.channels;
  markRead(state);
  const list = (title, kinds) =>
    el("section", {}, el("h2", {}, title),
      el("ul", {}, rooms.filter((room) => kinds.includes(room.kind)).map((room) => row(room, state))));
  const fresh = [
    el("div", { class: "team" }, el("strong", {}, state.me.team.name), el("small", {}, "Slack simulator")),
    list("Channels", ["channel", "private"]),
    list("Direct messages", ["im"]),
    persons(state),
  ];
  const sidebar = byId("sidebar");
  const signature = JSON.stringify([rooms.map((room) => [room, unread(room, state)]), state.me, state.channel.id]);
  if (sidebar.dataset.signature === signature) return;
  const focused = sidebar.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  sidebar.dataset.signature = signature;
  sidebar.replaceChildren(...fresh);
  if (focused) sidebar.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function markRead(state) {
  for (const room of state.channels) {
    if (!(room.id in store.read) || room.id === state.channel.id) store.read[room.id] = room.latest;
  }
}

const unread = (room, state) => room.id !== state.channel.id && room.latest > (store.read[room.id] || "");

function row(room, state) {
  const name = room.kind === "im" ? state.bot.name : room.name;
  const sign = room.archived ? "▤" : { im: "●", private: lockIcon() }[room.kind] || "#";
  const isNew = unread(room, state);
  return el("li", {},
    el("button", {
      type: "button", class: `room-link ${isNew ? "unread" : ""}`, "data-key": room.id, "data-testid": `channel-${name}`,
      "aria-current": room.id === state.channel.id ? "page" : null,
      onclick: () => { openChannel(room.id); toggleSidebar(false); },
    }, el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", { class: "room-name" }, name),
      room.archived && hidden(" (archived)"), isNew && hidden(" (new messages)")));
}

function persons(state) {
  const teams = [...new Map(state.people.map((person) => [person.team.id, person.team])).values()];
  const options = teams.map((team) => el("optgroup", { label: team.name },
    state.people.filter((person) => person.team.id === team.id)
      .map((person) => el("option", { value: person.id }, person.real_name))));
  const select = el("select", {
    id: "person", "data-key": "person", "data-testid": "person", onchange: (event) => actAs(event.target.value),
  }, options);
  select.value = state.me.id;
  return el("div", { class: "me" },
    el("div", { class: `avatar ${color(state.me.id)}`, "aria-hidden": "true" }, initials(state.me.real_name)),
    el("div", {}, el("label", { for: "person" }, "Acting as"), select, el("small", {}, state.me.title),
      el("small", { class: "ids", "data-testid": "signed-as" }, `${state.me.team.id} · ${state.me.id}`)));
}

export function toggleSidebar(open) {
  const sidebar = byId("sidebar");
  const wanted = open ?? !sidebar.classList.contains("open");
  sidebar.classList.toggle("open", wanted);
  byId("veil").hidden = !wanted;
  byId("menu-button")?.setAttribute("aria-expanded", String(wanted));
  if (wanted) sidebar.querySelector("[aria-current]")?.focus();
}
