// The channel's name and topic, and the home tab of the app in the direct message with it.

import { tell } from "./api.js";
import { drawBlocks } from "./blocks.js";
import { deskButton } from "./desk.js";
import { byId, el, fill } from "./dom.js";
import { togglePanel } from "./panel.js";
import { toggleSidebar } from "./sidebar.js";
import { refresh, store } from "./store.js";

let tab = "messages";

export function showHeading({ state }) {
  const room = state.channel;
  const name = room.kind === "im" ? state.bot.name : room.name;
  const hasHome = room.kind === "im" && state.has_home;
  const home = hasHome ? state.home : null;
  if (!hasHome) tab = "messages";
  const signature = JSON.stringify([room, state.me.id, home?.hash, tab, state.has_desk]);
  const heading = byId("heading");
  if (heading.dataset.signature === signature) return;
  heading.dataset.signature = signature;
  const focused = heading.contains(document.activeElement) ? document.activeElement.id : null;
  fill(heading,
    el("button", {
      type: "button", id: "menu-button", class: "icon menu-button", "aria-label": "Channels", "aria-expanded": "false",
      "aria-controls": "sidebar", onclick: () => toggleSidebar(),
    }, "☰"),
    el("div", { class: "heading-text" },
      el("h1", {}, room.kind === "im" ? name : `# ${name}`),
      el("p", { class: "faint" }, topic(room, state))),
    hasHome && tabs(),
    deskButton(state),
    el("button", {
      type: "button", id: "panel-button", class: "button quiet", "aria-controls": "panel", "data-testid": "controls",
      "aria-expanded": String(!byId("panel").hidden), onclick: togglePanel,
    }, "Controls"));
  if (focused) byId(focused)?.focus();
  showHome(home);
}

function topic(room, state) {
  if (room.kind === "im") return "Messages from the app, to you alone";
  const count = room.members.filter((id) => id !== state.bot.id).length;
  const people = count === 1 ? "1 person" : `${count} people`;
  return [room.topic, room.has_bot ? `${people} and ${state.bot.name}` : people].filter(Boolean).join(" · ");
}

function tabs() {
  const one = (name, text) => el("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(tab === name), onclick: () => choose(name),
  }, text);
  return el("div", { role: "tablist", class: "tabs" }, one("home", "Home"), one("messages", "Messages"));
}

function choose(name) {
  tab = name;
  if (name === "home") tell("home", { user: store.user }).catch(() => {});
  showHeading(store);
}

function showHome(home) {
  const node = byId("home");
  const open = tab === "home";
  node.hidden = !open;
  byId("log").hidden = byId("foot").hidden = open;
  if (!open) return void node.replaceChildren();
  const scroll = node.scrollTop;
  node.replaceChildren(...(home ? drawBlocks(home.blocks, surface(home)) : [el("p", { class: "faint" }, "This tab is empty so far.")]));
  node.scrollTop = scroll;
}

function surface(home) {
  const place = (block, element) => ({
    user: store.user, view_id: home.id, block_id: block.block_id, action_id: element.action_id,
  });
  return {
    values: home.state.values,
    act: (block, element, value) => tell("use", { ...place(block, element), value }).catch(() => {}).finally(refresh),
    ask: (block, element, query) =>
      tell("options", { ...place(block, element), query }).catch((error) => ({ options: [], problem: error.message })),
  };
}
