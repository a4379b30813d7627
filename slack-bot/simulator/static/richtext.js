// rich_text blocks: sections, lists, quotes and preformatted text.

import { el } from "./dom.js";
import { emoji } from "./emoji.js";
import { link } from "./mrkdwn.js";
import { channelName, personName } from "./names.js";

const STYLES = { bold: "strong", italic: "em", strike: "del", code: "code" };

export function richText(block) {
  return el("div", { class: "rich" }, block.elements.map(part));
}

function part(element) {
  const children = (element.elements || []).map(element.type === "rich_text_list" ? item : leaf);
  if (element.type === "rich_text_list") return el(element.style === "ordered" ? "ol" : "ul", {}, children);
  if (element.type === "rich_text_quote") return el("blockquote", {}, children);
  if (element.type === "rich_text_preformatted") return el("pre", {}, children);
  return el("p", {}, children);
}

const item = (element) => el("li", {}, (element.elements || []).map(leaf));

function leaf(element) {
  let node = content(element);
  for (const [style, tag] of Object.entries(STYLES)) {
    if (element.style?.[style]) node = el(tag, {}, node);
  }
  return node;
}

function content(element) {
  if (element.type === "text") return el("span", { class: "keep" }, String(element.text));
  if (element.type === "link") return link(String(element.url), String(element.text || element.url));
  if (element.type === "emoji") return emoji(element.name) || `:${element.name}:`;
  if (element.type === "user") return el("span", { class: "mention" }, `@${personName(element.user_id)}`);
  if (element.type === "channel") return el("span", { class: "mention" }, `#${channelName(element.channel_id)}`);
  if (element.type === "broadcast") return el("span", { class: "mention loud" }, `@${element.range}`);
  return el("span", { class: "undrawn" }, `not drawn here: ${element.type}`);
}
