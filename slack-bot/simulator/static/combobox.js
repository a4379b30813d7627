// A text field with a list to choose from: for options that the bot suggests, and for several choices at once.

import { debounce, el, freshId } from "./dom.js";

const ASK_MILLISECONDS = 200;

const GAP_PIXELS = 4;

// Lays the list under its field, or above it where there is more room; fixed, so that no form clips it.
function place(list, input) {
  const field = input.getBoundingClientRect();
  const below = innerHeight - field.bottom;
  const above = below < list.offsetHeight + GAP_PIXELS * 2 && field.top > below;
  list.style.left = `${field.left}px`;
  list.style.width = `${field.width}px`;
  list.style.top = above ? "auto" : `${field.bottom + GAP_PIXELS}px`;
  list.style.bottom = above ? `${innerHeight - field.top + GAP_PIXELS}px` : "auto";
}

// `load(query)` resolves to {options, problem}; `change(options)` is told of every choice.
export function combobox({ id, placeholder, several, least = 0, most = 100, chosen, load, change, attributes }) {
  const listId = freshId("list");
  let picked = [...chosen];
  let offered = [];
  let active = -1;
  let asked = 0;

  const tokens = el("span", { class: "tokens" });
  const input = el("input", {
    id, type: "text", role: "combobox", autocomplete: "off", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": listId, placeholder, ...attributes,
  });
  const list = el("ul", { id: listId, role: "listbox", class: "options", hidden: true, "aria-label": placeholder });
  const status = el("span", { class: "visually-hidden", role: "status" });
  const node = el("div", { class: several ? "combobox several" : "combobox" }, tokens, input, list, status);

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const show = () => {
    if (!several) input.value = picked[0] ? picked[0].text.text : "";
    tokens.replaceChildren(...(several ? picked.map(token) : []));
  };
  const token = (option) =>
    el("button", {
      type: "button", class: "token", "aria-label": `Remove ${option.text.text}`, onclick: () => toggle(option),
    }, option.text.text, el("span", { "aria-hidden": "true" }, " ×"));

  function toggle(option) {
    const has = picked.some((one) => one.value === option.value);
    if (!several) picked = [option];
    else if (has) picked = picked.filter((one) => one.value !== option.value);
    else if (picked.length < most) picked = [...picked, option];
    if (several) input.value = "";
    show();
    close();
    change(picked);
  }

  function draw(message) {
    const rows = offered.map((option, index) => {
      const selected = picked.some((one) => one.value === option.value);
      const row = el("li", {
        id: `${listId}-${index}`, role: "option", class: index === active ? "active" : "", "aria-selected": String(selected),
        onmousedown: (event) => { event.preventDefault(); toggle(option); },
      }, option.text.text);
      if (option.description) row.append(el("small", {}, option.description.text));
      return row;
    });
    list.replaceChildren(...rows, ...(message ? [el("li", { class: "nothing", role: "presentation" }, message)] : []));
    status.textContent = message || `${offered.length} to choose from`;
    list.hidden = false;
    place(list, input);
    input.setAttribute("aria-expanded", "true");
    if (active >= 0) {
      input.setAttribute("aria-activedescendant", `${listId}-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  async function open() {
    const query = !several && picked[0] && input.value === picked[0].text.text ? "" : input.value.trim();
    const mine = ++asked;
    active = -1;
    if (query.length < least) {
      offered = [];
      draw(`Type ${least === 1 ? "a character" : `${least} characters`} or more…`);
      return;
    }
    if (list.hidden) {
      offered = [];
      draw("Loading…");
    }
    const { options, problem } = await load(query);
    if (mine !== asked || document.activeElement !== input) return;
    offered = options;
    active = query && options.length ? 0 : -1;
    draw(problem || (options.length ? "" : "Nothing found."));
  }

  // A list that stays in place while its field scrolls away would lie about where it belongs.
  node.addEventListener("wheel", (event) => list.contains(event.target) || close(), { passive: true });
  const openSoon = debounce(ASK_MILLISECONDS, open);
  input.addEventListener("focus", () => { input.select(); open(); });
  input.addEventListener("input", openSoon);
  input.addEventListener("click", () => list.hidden && open());
  input.addEventListener("blur", () => {
    asked += 1;
    close();
    if (!several && !input.value.trim() && picked.length) {
      picked = [];
      change(picked);
    }
    if (several) input.value = "";
    show();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return void open();
      const step = event.key === "ArrowDown" ? 1 : -1;
      active = Math.max(0, Math.min(offered.length - 1, active + step));
      if (offered.length) draw("");
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      if (offered[active]) toggle(offered[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Backspace" && several && !input.value && picked.length) {
      toggle(picked.at(-1));
    } else if (event.key === "Tab" && !list.hidden && offered[active]) toggle(offered[active]);
  });

  show();
  return {
    node,
    focusable: input,
    options: () => picked,
    // What is being typed is kept with what was picked: a redraw must not take letters away.
    memo: () => ({ picked, typed: document.activeElement === input ? input.value : null }),
    restore: (kept) => {
      picked = kept.picked;
      show();
      if (kept.typed !== null) input.value = kept.typed;
    },
  };
}
