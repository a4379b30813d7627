// Elements to choose from: fixed lists, the bot's suggestions, people, channels.

import { combobox } from "./combobox.js";
import { el } from "./dom.js";
import { store } from "./store.js";

const optionOf = (value, text) => ({ value, text: { type: "plain_text", text } });
const people = () => store.state.people.map((person) => optionOf(person.id, person.real_name));
const channels = () =>
  store.state.channels.filter((room) => room.kind !== "im").map((room) => optionOf(room.id, `#${room.name}`));

function native(about, placeholder, groups, selected) {
  const empty = el("option", { value: "" }, placeholder);
  const lists = groups.map(([label, options]) => {
    const rows = options.map((option) => el("option", { value: option.value }, option.text.text));
    return label ? el("optgroup", { label }, rows) : rows;
  });
  const node = el("select", { id: about.id, ...about.attributes }, empty, lists);
  node.value = selected ?? "";
  const mark = () => node.classList.toggle("empty", !node.value);
  node.addEventListener("change", () => {
    mark();
    if (about.change) about.change(node.value || null);
  });
  mark();
  const restore = (value) => {
    node.value = value ?? "";
    mark();
  };
  return { node, focusable: node, value: () => node.value || null, restore };
}

const placeholderOf = (element, fallback) => element.placeholder?.text || fallback;

const groupsOf = (element) =>
  element.option_groups
    ? element.option_groups.map((group) => [group.label.text, group.options])
    : [["", element.options]];

export function staticSelect(element, about) {
  return native(about, placeholderOf(element, "Choose an option"), groupsOf(element), about.state?.selected_option?.value);
}

const idSelect = (key, options, fallback) => (element, about) =>
  native(about, placeholderOf(element, fallback), [["", options()]], about.state?.[key]);

export const usersSelect = idSelect("selected_user", people, "Choose a person");
export const channelsSelect = idSelect("selected_channel", channels, "Choose a channel");
export const conversationsSelect = idSelect("selected_conversation", channels, "Choose a conversation");

function searched(element, about, { several, chosen, load, least }) {
  const value = (options) => {
    const values = options.map((option) => option.value);
    return several ? values : (values[0] ?? null);
  };
  const box = combobox({
    id: about.id, attributes: about.attributes, several, least, load, chosen,
    most: element.max_selected_items || 100,
    placeholder: placeholderOf(element, several ? "Choose some" : "Choose an option"),
    change: (options) => about.change && about.change(value(options)),
  });
  return {
    node: box.node,
    focusable: box.focusable,
    value: () => value(box.options()),
    memo: box.memo,
    restore: box.restore,
  };
}

const among = (options) => (query) => {
  const wanted = query.toLowerCase();
  return Promise.resolve({ options: options.filter((option) => option.text.text.toLowerCase().includes(wanted)) });
};

export function externalSelect(element, about) {
  const chosen = about.state?.selected_option ? [about.state.selected_option] : [];
  const least = element.min_query_length ?? 3;
  return searched(element, about, { several: false, chosen, least, load: about.ask });
}

export function multiExternalSelect(element, about) {
  const least = element.min_query_length ?? 3;
  return searched(element, about, { several: true, chosen: about.state?.selected_options || [], least, load: about.ask });
}

export function multiStaticSelect(element, about) {
  const options = groupsOf(element).flatMap(([, part]) => part);
  return searched(element, about, { several: true, chosen: about.state?.selected_options || [], least: 0, load: among(options) });
}

const multiIds = (key, list) => (element, about) => {
  const ids = about.state?.[key] || [];
  const chosen = list().filter((option) => ids.includes(option.value));
  return searched(element, about, { several: true, chosen, least: 0, load: among(list()) });
};

export const multiUsersSelect = multiIds("selected_users", people);
export const multiChannelsSelect = multiIds("selected_channels", channels);
export const multiConversationsSelect = multiIds("selected_conversations", channels);
