// Slack's mrkdwn, drawn as elements. Input is never parsed as HTML.

import { el } from "./dom.js";
import { emoji } from "./emoji.js";
import { channelName, personName } from "./names.js";

// A word joiner (U+2060) before a mark prevents the emphasis.
const TOKEN = new RegExp(
  [
    "```(?<fence>[\\s\\S]+?)```",
    "(?<!\\u2060)`(?<code>[^`\\n]+)`",
    "<(?<angle>[^<>\\n]+)>",
    ":(?<emoji>[a-z0-9_+-]+):",
    "(?<![\\w*\\u2060])\\*(?<bold>[^\\s*](?:[^*\\n]*[^\\s*])?)\\*(?![\\w*])",
    "(?<![\\w_\\u2060])_(?<italic>[^\\s_](?:[^_\\n]*[^\\s_])?)_(?![\\w_])",
    "(?<![\\w~\\u2060])~(?<strike>[^\\s~](?:[^~\\n]*[^\\s~])?)~(?![\\w~])",
    "(?<line>\\n)",
  ].join("|"),
  "g",
);
const LINK = /^(https?:\/\/|mailto:)/i;

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

export function mrkdwn(text) {
  const nodes = [];
  for (const part of text.split(/(```[\s\S]+?```)/)) {
    if (part.startsWith("```")) nodes.push(...inline(part));
    else nodes.push(...withQuotes(part));
  }
  return nodes;
}

function withQuotes(text) {
  if (!/^(>|&gt;) ?/m.test(text)) return inline(text);
  const nodes = [];
  let quoted = [];
  const flush = () => {
    if (quoted.length) nodes.push(el("blockquote", {}, inline(quoted.join("\n"))));
    quoted = [];
  };
  text.split("\n").forEach((line, index, lines) => {
    const found = line.match(/^(?:>|&gt;) ?(.*)$/);
    if (found) return quoted.push(found[1]);
    flush();
    const isLast = index === lines.length - 1;
    return nodes.push(...inline(line), ...(isLast ? [] : [el("br")]));
  });
  flush();
  return nodes;
}

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > from) nodes.push(unescape(text.slice(from, match.index)));
    nodes.push(token(match));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(unescape(text.slice(from)));
  return nodes;
}

function token({ 0: whole, groups }) {
  if (groups.fence) return el("pre", {}, unescape(groups.fence.replace(/^\n/, "")));
  if (groups.code) return el("code", {}, unescape(groups.code));
  if (groups.angle) return angle(groups.angle);
  if (groups.emoji) return shortcode(groups.emoji, whole);
  if (groups.bold) return el("strong", {}, inline(groups.bold));
  if (groups.italic) return el("em", {}, inline(groups.italic));
  if (groups.strike) return el("del", {}, inline(groups.strike));
  return el("br");
}

function shortcode(name, whole) {
  const picture = emoji(name);
  return picture ? el("span", { role: "img", "aria-label": name.replaceAll("_", " ") }, picture) : whole;
}

function angle(inside) {
  const [target, label] = split(inside, "|");
  if (target.startsWith("@")) return el("span", { class: "mention" }, `@${personName(target.slice(1))}`);
  if (target.startsWith("#")) return el("span", { class: "mention" }, `#${label || channelName(target.slice(1))}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return el("span", { class: "mention loud" }, `@${target.slice(1).split("^")[0]}`);
  return LINK.test(target) ? link(unescape(target), unescape(label || target)) : `<${unescape(inside)}>`;
}

function split(text, at) {
  const place = text.indexOf(at);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

export function link(url, label) {
  if (!LINK.test(url)) return label;
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label.replace(/^mailto:/, ""));
}

const STYLES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { dateStyle: "long" },
  date_pretty: { dateStyle: "long" },
  date_short: { dateStyle: "medium" },
  date_short_pretty: { dateStyle: "medium" },
  date_long: { dateStyle: "full" },
  date_long_pretty: { dateStyle: "full" },
  time: { timeStyle: "short" },
  time_secs: { timeStyle: "medium" },
};

function date(target, fallback) {
  const [, seconds, format = "", url] = target.split("^");
  const moment = new Date(Number(seconds) * 1000);
  if (Number.isNaN(moment.getTime())) return unescape(fallback);
  const words = format.replace(/\{(\w+)\}/g, (whole, name) =>
    STYLES[name] ? new Intl.DateTimeFormat(undefined, STYLES[name]).format(moment) : whole,
  );
  const node = el("time", { datetime: moment.toISOString(), title: unescape(fallback) }, unescape(words));
  return url ? el("span", {}, link(url, words)) : node;
}

export function plain(text) {
  return text.split(/(:[a-z0-9_+-]+:|\n)/).map((part) => {
    if (part === "\n") return el("br");
    const found = part.match(/^:([a-z0-9_+-]+):$/);
    return found ? shortcode(found[1], part) : part;
  });
}

export function words(text) {
  if (!text) return [];
  return text.type === "mrkdwn" ? mrkdwn(text.text) : plain(text.text);
}
