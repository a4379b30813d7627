// Names of people and channels, as the current state knows them.

import { store } from "./store.js";

export function personName(id) {
  const { people, bot, system } = store.state;
  const found = [...people.map((person) => ({ id: person.id, name: person.real_name })), bot, system];
  return (found.find((one) => one.id === id) || { name: id }).name;
}

export function channelName(id) {
  const channel = store.state.channels.find((one) => one.id === id);
  if (!channel) return id;
  return channel.kind === "im" ? store.state.bot.name : channel.name;
}

export function initials(name) {
  const words = name.split(/\s+/);
  return (words.length > 1 ? words[0][0] + words.at(-1)[0] : name.slice(0, 2)).toUpperCase();
}

export function color(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 997;
  return `tint-${sum % 6}`;
}
