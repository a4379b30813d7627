// Slack's charts: lines and areas, bars, and pies. The numbers are listed below each for screen readers.

import { el, hidden } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 480;
const HEIGHT = 180;
const COLORS = ["#2f9c8c", "#7a4bb0", "#1f6aa5", "#a14a1f", "#a03469", "#3f7324", "#4a56b8", "#b08a1f", "#58676b", "#c0504d",
  "#6aa5c9", "#8c6d46"];

export function chart(block) {
  const drawn = block.chart.type === "pie" ? pie(block.chart.segments) : lines(block.chart);
  return el("figure", { class: "chart", "data-testid": "chart" }, el("figcaption", {}, block.title), drawn, numbers(block.chart));
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function lines({ type, series, axis_config: axes }) {
  const values = series.flatMap((one) => one.data.map((point) => point.value));
  const low = Math.min(...values, type === "line" ? Infinity : 0);
  const high = Math.max(...values);
  const x = (index, count) => (count < 2 ? WIDTH / 2 : (index * WIDTH) / (count - 1));
  const y = (value) => HEIGHT - 8 - ((value - low) / (high - low || 1)) * (HEIGHT - 16);
  const paths = series.map(({ data }, number) => svg("polyline", {
    points: data.map((point, index) => `${x(index, data.length)},${y(point.value)}`).join(" "),
    fill: "none", stroke: COLORS[number % COLORS.length], "stroke-width": 2,
  }));
  const bars = series.flatMap(({ data }, number) => data.map((point, index) => svg("rect", {
    x: (index + 0.1) * (WIDTH / data.length), y: Math.min(y(point.value), y(0)), width: (WIDTH / data.length) * 0.8,
    height: Math.abs(y(point.value) - y(0)), fill: COLORS[number % COLORS.length],
  })));
  return el("div", {}, svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "presentation" }, ...(type === "bar" ? bars : paths)),
    el("p", { class: "faint chart-ends" }, el("span", {}, axes.categories[0]), el("span", {}, axes.categories.at(-1))));
}

function pie(segments) {
  const total = segments.reduce((sum, one) => sum + one.value, 0);
  let from = 0;
  const slices = segments.map(({ value }, number) => {
    const share = value / total;
    const slice = svg("circle", {
      r: 25, cx: 50, cy: 50, fill: "none", stroke: COLORS[number % COLORS.length], "stroke-width": 50,
      pathLength: 100, "stroke-dasharray": `${share * 100} 100`, "stroke-dashoffset": -from * 100, transform: "rotate(-90 50 50)",
    });
    from += share;
    return slice;
  });
  return el("div", { class: "pie" }, svg("svg", { viewBox: "0 0 100 100", role: "presentation" }, ...slices),
    el("ul", {}, segments.map((one, number) => el("li", {}, swatch(number), `${one.label} ${((100 * one.value) / total).toFixed(1)}%`))));
}

function swatch(number) {
  const square = svg("svg", { viewBox: "0 0 10 10", class: "swatch" });
  square.append(svg("rect", { width: 10, height: 10, fill: COLORS[number % COLORS.length] }));
  return square;
}

function numbers({ series = [] }) {
  return series.map((one) => hidden(`${one.name}: ${one.data.map((point) => `${point.label} ${point.value}`).join(", ")}`));
}
