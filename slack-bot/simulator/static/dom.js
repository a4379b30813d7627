// Building elements. Text only ever becomes text nodes: nothing here parses HTML.

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    setProperty(node, name, value);
  }
  node.append(...present(children));
  return node;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

export const fill = (node, ...children) => node.replaceChildren(...present(children));

function setProperty(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "class") node.className = value;
  else if (name === "value") node.value = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

export const byId = (id) => document.getElementById(id);

let lastId = 0;
export const freshId = (prefix = "e") => `${prefix}${++lastId}`;

export function debounce(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

const SVG = "http://www.w3.org/2000/svg";

export function lockIcon() {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "lock");
  path.setAttribute("d", "M3.5 7h9v7h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2");
  svg.append(path);
  return svg;
}

export function hidden(text) {
  return el("span", { class: "visually-hidden" }, text);
}
