// Elements that hold typed text, dates, numbers, ticks. Each returns {node, focusable, value, restore}.

import { debounce, el, freshId } from "./dom.js";
import { words } from "./mrkdwn.js";

const TYPED_MILLISECONDS = 300;

function single(node, change) {
  if (change) node.addEventListener("change", () => change(node.value));
  return { node, focusable: node, value: () => node.value, restore: (value) => { node.value = value; } };
}

function typed(element, about, kind) {
  const shared = { id: about.id, ...about.attributes, placeholder: element.placeholder?.text, value: about.state?.value ?? "" };
  const node = element.multiline
    ? el("textarea", { ...shared, rows: 4 })
    : el("input", { ...shared, type: "text", autocomplete: "off", ...kind });
  if (element.max_length) node.setAttribute("maxlength", element.max_length);
  dispatchTyping(element, node, about.change);
  return single(node);
}

function dispatchTyping(element, node, change) {
  if (!change) return;
  const triggers = element.dispatch_action_config?.trigger_actions_on || ["on_enter_pressed"];
  if (triggers.includes("on_character_entered")) {
    node.addEventListener("input", debounce(TYPED_MILLISECONDS, () => change(node.value)));
  }
  if (triggers.includes("on_enter_pressed")) {
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      change(node.value);
    });
  }
}

export const plainTextInput = (element, about) => typed(element, about, {});
export const emailInput = (element, about) => typed(element, about, { type: "email" });
export const urlInput = (element, about) => typed(element, about, { type: "url" });
export const numberInput = (element, about) =>
  typed(element, about, { inputmode: element.is_decimal_allowed ? "decimal" : "numeric" });

export function datepicker(element, about) {
  return single(el("input", { id: about.id, type: "date", ...about.attributes, value: about.state?.selected_date ?? "" }), about.change);
}

export function timepicker(element, about) {
  return single(el("input", { id: about.id, type: "time", ...about.attributes, value: about.state?.selected_time ?? "" }), about.change);
}

export function datetimepicker(element, about) {
  const seconds = about.state?.selected_date_time;
  const local = seconds ? new Date((seconds - new Date(seconds * 1000).getTimezoneOffset() * 60) * 1000) : null;
  const node = el("input", {
    id: about.id, type: "datetime-local", ...about.attributes, value: local ? local.toISOString().slice(0, 16) : "",
  });
  const value = () => (node.value ? Math.round(new Date(node.value).getTime() / 1000) : null);
  if (about.change) node.addEventListener("change", () => about.change(value()));
  return { node, focusable: node, value, restore: () => {} };
}

function choices(element, about, type, chosen, read) {
  const name = freshId("choice");
  const boxes = element.options.map((option) => {
    const box = el("input", { type, name, value: option.value, id: freshId("box") });
    box.checked = chosen.includes(option.value);
    return box;
  });
  const rows = element.options.map((option, index) =>
    el("div", { class: "choice" }, boxes[index],
      el("label", { for: boxes[index].id }, words(option.text),
        option.description && el("small", {}, words(option.description)))),
  );
  const role = type === "radio" ? "radiogroup" : "group";
  const node = el("div", { class: "choices", role, id: about.id, ...about.attributes }, rows);
  const value = () => read(boxes.filter((box) => box.checked).map((box) => box.value));
  if (about.change) node.addEventListener("change", () => about.change(value()));
  const restore = (kept) => boxes.forEach((box) => { box.checked = [kept].flat().includes(box.value); });
  return { node, focusable: boxes[0], value, restore, group: true };
}

export function checkboxes(element, about) {
  const chosen = (about.state?.selected_options || []).map((option) => option.value);
  return choices(element, about, "checkbox", chosen, (values) => values);
}

export function radioButtons(element, about) {
  const chosen = about.state?.selected_option ? [about.state.selected_option.value] : [];
  return choices(element, about, "radio", chosen, (values) => values[0] ?? null);
}

