// The open form: drawn from the view in front, redrawn when it changes, with what was typed kept.

import { tell } from "./api.js";
import { drawBlock } from "./blocks.js";
import { el, freshId } from "./dom.js";
import { plain } from "./mrkdwn.js";
import { refresh, store } from "./store.js";

let open = null; // {dialog, view, fields, user}

const keyOf = (block, element) => `${block.block_id}\n${element.action_id}\n${element.type}`;
const stamp = (view) => JSON.stringify([view.id, view.hash, view.errors, view.notice]);

export function showForm({ state }) {
  const view = state.views.at(-1);
  if (!view) return closeDialog();
  if (open && open.view.id === view.id && open.user === store.user) {
    if (stamp(open.view) !== stamp(view)) redraw(view);
    return undefined;
  }
  closeDialog();
  return openDialog(view);
}

function closeDialog() {
  if (!open) return;
  open.dialog.close();
  open.dialog.remove();
  open = null;
  document.getElementById("composer")?.focus();
}

function openDialog(view) {
  const dialog = el("dialog", { class: "form", role: "dialog", "aria-modal": "true", "data-testid": "form" });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    shut(false);
  });
  open = { dialog, view, fields: new Map(), user: store.user };
  document.body.append(dialog);
  draw(view);
  dialog.showModal();
  focusFirst(view);
}

// Only blocks that changed are drawn anew: a field that stays is left alone, with the letters, the cursor and the
// list of whoever is typing in it.
function redraw(view) {
  const kept = new Map([...open.fields].map(([key, field]) => [key, field.memo ? field.memo() : field.value?.()]));
  const place = focusedPlace();
  const shown = open.dialog.querySelector(".form-body");
  const scroll = shown.scrollTop;
  const freshErrors = JSON.stringify(view.errors) !== JSON.stringify(open.view.errors);
  const sameFrame = JSON.stringify(frame(view)) === JSON.stringify(frame(open.view));
  open.view = view;
  const before = new Map(open.fields);
  if (sameFrame) fillBody(shown, view);
  else draw(view);
  for (const [key, field] of open.fields) {
    if (before.get(key) !== field && kept.get(key) !== undefined) field.restore?.(kept.get(key));
  }
  open.dialog.querySelector(".form-body").scrollTop = scroll;
  if (freshErrors && focusError()) return;
  if (!place || open.fields.get(place.key) !== before.get(place.key)) restoreFocus(place);
}

const frame = ({ title, submit, close }) => [title, submit, close];

function fillBody(body, view) {
  const wanted = [...(view.notice ? [{ notice: view.notice }] : []), ...view.blocks];
  const shown = new Map([...body.children].map((node) => [open.looks.get(node), node]));
  const fields = open.fields;
  open.fields = new Map();
  let next = body.firstElementChild;
  for (const block of wanted) {
    const look = lookOf(block, view);
    const node = shown.get(look);
    shown.delete(look);
    if (node && follows(node, next)) {
      while (next !== node) next = dropped(next);
      next = node.nextElementSibling;
      for (const [key, field] of fields) if (node.contains(field.node)) open.fields.set(key, field);
    } else {
      const fresh = block.notice ? noticeLine(block.notice) : drawBlock(block, surface(view));
      open.looks.set(fresh, look);
      body.insertBefore(fresh, next);
    }
  }
  while (next) next = dropped(next);
}

const lookOf = (block, view) => JSON.stringify([block, view.errors[block.block_id]]);
const follows = (node, next) => Boolean(next) && (node === next || Boolean(next.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING));

function dropped(node) {
  const next = node.nextElementSibling;
  node.remove();
  return next;
}

const noticeLine = (text) => el("p", { class: "notice", role: "alert", "data-testid": "form-notice" }, text);

function focusedPlace() {
  for (const [key, field] of open.fields) {
    const active = document.activeElement;
    if (field.node.contains(active)) return { key, from: active.selectionStart, to: active.selectionEnd };
  }
  return null;
}

function restoreFocus(place) {
  const field = place && open.fields.get(place.key);
  if (!field) return void open.dialog.querySelector("[data-first], button")?.focus();
  field.focusable.focus();
  if (typeof place.from === "number") field.focusable.setSelectionRange?.(place.from, place.to);
}

function focusError() {
  const invalid = open.dialog.querySelector(".invalid");
  const field = [...open.fields.values()].find((one) => invalid?.contains(one.node));
  field?.focusable.focus();
  return Boolean(field);
}

function focusFirst(view) {
  const wanted = view.blocks.find((block) => block.element?.focus_on_load);
  const fields = [...open.fields.entries()].filter(([, field]) => field.value);
  const empty = ([, field]) => !(Array.isArray(field.value()) ? field.value().length : field.value());
  const first = fields.find(empty) || fields[0];
  const found = wanted ? open.fields.get(keyOf(wanted, wanted.element)) : first?.[1];
  (found?.focusable || open.dialog.querySelector(".form-foot button") || open.dialog).focus();
}

function draw(view) {
  const title = freshId("title");
  open.fields = new Map();
  open.looks = new WeakMap(); // what each block's node was drawn from
  const body = el("div", { class: "form-body" });
  fillBody(body, view);
  const form = el("form", { novalidate: true, onsubmit: submit },
    el("header", { class: "form-head" },
      el("h2", { id: title, tabindex: "-1", "data-first": true }, plain(view.title.text)),
      el("button", { type: "button", class: "icon", "aria-label": "Close everything", onclick: () => shut(true) }, "×")),
    body,
    el("footer", { class: "form-foot" },
      el("button", { type: "button", class: "button", onclick: () => shut(false) }, plain(view.close?.text || "Close")),
      view.submit && el("button", { type: "submit", class: "button solid primary" }, plain(view.submit.text))));
  open.dialog.setAttribute("aria-labelledby", title);
  open.dialog.replaceChildren(form);
}

function surface(view) {
  return {
    values: view.state.values,
    errors: view.errors,
    register: (block, element, drawn) => open.fields.set(keyOf(block, element), drawn),
    act(block, element, value) {
      if (open?.view.id !== view.id) return; // a change that was still settling when the form went
      attempt("use", { ...place(block, element), value, values: allValues() });
    },
    ask: async (block, element, query) => {
      try {
        return await tell("options", { ...place(block, element), query });
      } catch (error) {
        return { options: [], problem: error.message };
      }
    },
  };
  function place(block, element) {
    return { user: store.user, view_id: view.id, block_id: block.block_id, action_id: element.action_id };
  }
}

function allValues() {
  const values = {};
  for (const [key, field] of open.fields) {
    if (!field.value) continue;
    const [block, action] = key.split("\n");
    (values[block] ||= {})[action] = field.value();
  }
  return values;
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  if (form.dataset.busy) return;
  form.dataset.busy = "yes";
  const button = form.querySelector("[type=submit]");
  if (button) button.setAttribute("aria-disabled", "true");
  const shown = open;
  await attempt("submit", { user: store.user, view_id: open.view.id, values: allValues() });
  delete form.dataset.busy;
  button?.removeAttribute("aria-disabled");
  // The same errors again redraw nothing, but the person still has to be led to them.
  if (open === shown && open && Object.keys(open.view.errors).length) focusError();
}

async function shut(everything) {
  await attempt("close", { user: store.user, view_id: open.view.id, everything });
}

async function attempt(path, body) {
  try {
    await tell(path, body);
  } catch (error) {
    const body = open?.dialog.querySelector(".form-body");
    body?.querySelector(".notice")?.remove();
    body?.prepend(el("p", { class: "notice", role: "alert" }, error.message));
    return;
  }
  await refresh();
}
