// Start here: draw what the store holds, whenever it changes.

import { showComposer } from "./composer.js";
import { showDesk, toggleDesk } from "./desk.js";
import { byId } from "./dom.js";
import { showForm } from "./forms.js";
import { showHeading } from "./heading.js";
import { showMessages } from "./messages.js";
import { showPanel } from "./panel.js";
import { showSidebar, toggleSidebar } from "./sidebar.js";
import { listen, onChange } from "./store.js";

function show(store) {
  byId("connection").hidden = store.connected;
  if (!store.state) return;
  for (const part of [showSidebar, showHeading, showMessages, showComposer, showForm, showDesk, showPanel]) part(store);
}

byId("veil").addEventListener("click", () => toggleSidebar(false));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (byId("sidebar").classList.contains("open")) toggleSidebar(false);
  else if (!byId("desk").hidden) toggleDesk();
});
onChange(show);
listen();
