// Buttons, overflow menus, and the question "are you sure?" before them.

import { el, freshId } from "./dom.js";
import { plain, words } from "./mrkdwn.js";

const WEB = /^https?:\/\//i;

export function button(element, about) {
  const node = el("button", {
    type: "button",
    class: `button ${element.style || ""}`,
    "aria-label": element.accessibility_label,
    onclick: async () => {
      if (element.url && WEB.test(element.url)) window.open(element.url, "_blank", "noopener,noreferrer");
      await whileBusy(node, () => about.act(element.value ?? null));
    },
  }, plain(element.text.text));
  return { node, focusable: node };
}

async function whileBusy(node, action) {
  node.setAttribute("aria-busy", "true");
  node.disabled = true;
  try {
    await action();
  } finally {
    node.removeAttribute("aria-busy");
    node.disabled = false;
  }
}

export function overflow(element, about) {
  const menu = el("ul", { class: "menu", role: "menu", hidden: true, id: freshId("menu") });
  const opener = el("button", {
    type: "button", class: "button more", "aria-label": "More actions", "aria-haspopup": "menu", "aria-expanded": "false",
    "aria-controls": menu.id, onclick: () => toggle(menu.hidden),
  }, "⋯");
  const node = el("span", { class: "overflow" }, opener, menu);

  function toggle(open) {
    menu.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) menu.querySelector("button").focus();
  }
  function choose(option) {
    toggle(false);
    opener.focus();
    if (option.url && WEB.test(option.url)) window.open(option.url, "_blank", "noopener,noreferrer");
    about.act(option.value);
  }
  const rows = element.options.map((option) =>
    el("li", { role: "none" },
      el("button", { type: "button", role: "menuitem", onclick: () => choose(option) }, plain(option.text.text))),
  );
  menu.append(...rows);
  node.addEventListener("keydown", (event) => steer(event, menu, () => { toggle(false); opener.focus(); }));
  node.addEventListener("focusout", (event) => node.contains(event.relatedTarget) || toggle(false));
  return { node, focusable: opener };
}

function steer(event, menu, close) {
  if (menu.hidden) return;
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    close();
  } else if (to !== undefined) {
    event.preventDefault();
    items[(to + items.length) % items.length].focus();
  }
}

// Resolves to true when there is nothing to ask, or the person says yes.
export function confirmed(confirm) {
  if (!confirm) return Promise.resolve(true);
  return new Promise((resolve) => {
    const title = freshId("title");
    const answer = (yes) => {
      dialog.close();
      dialog.remove();
      resolve(yes);
    };
    const dialog = el("dialog", { class: "confirm", role: "alertdialog", "aria-labelledby": title, oncancel: () => answer(false) },
      el("h2", { id: title }, plain(confirm.title.text)),
      el("div", { class: "confirm-text" }, words(confirm.text)),
      el("div", { class: "form-foot" },
        el("button", { type: "button", class: "button", onclick: () => answer(false) }, plain(confirm.deny.text)),
        el("button", { type: "button", class: `button solid ${confirm.style || "primary"}`, onclick: () => answer(true) },
          plain(confirm.confirm.text))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
