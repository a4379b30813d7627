// The desk: working orders and positions as the OMS tells them to whoever one is, fresh while one looks.

import { ask } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { store } from "./store.js";

const FRESH_MILLISECONDS = 2000;
const TRAIL_SIGN = { trail_amount: "", trail_percent: "%" };
const ROLES = { either: "OCO", follower: "OTO" };
let timer = 0;
let asked = 0;

export function deskButton(state) {
  return state.has_desk && el("button", {
    type: "button", id: "desk-button", class: "button quiet", "aria-controls": "desk", "data-testid": "desk-button",
    "aria-expanded": String(!byId("desk").hidden), onclick: toggleDesk,
  }, "Desk");
}

export function toggleDesk() {
  const desk = byId("desk");
  desk.hidden = !desk.hidden;
  byId("desk-button").setAttribute("aria-expanded", String(!desk.hidden));
  clearTimeout(timer);
  asked += 1;
  if (desk.hidden) return void byId("desk-button").focus();
  fill(desk,
    el("header", { class: "panel-head" }, el("h2", {}, "Desk"),
      el("button", { type: "button", class: "icon", "aria-label": "Close desk", onclick: toggleDesk }, "×")),
    el("p", { id: "desk-age", class: "faint", "data-testid": "desk-age" }),
    el("p", { id: "desk-problem", class: "bad", role: "status" }),
    el("section", { id: "desk-orders", "data-testid": "desk-orders" }),
    el("section", { id: "desk-positions", "data-testid": "desk-positions" }),
    el("section", { id: "desk-portfolios", "data-testid": "desk-portfolios" }));
  desk.querySelector("button").focus();
  look();
}

// Whoever one is now sees what is theirs at once.
let shownFor = store.user;
export function showDesk({ user }) {
  if (byId("desk").hidden || user === shownFor) return;
  clearTimeout(timer);
  look();
}

async function look() {
  asked += 1;
  const question = asked;
  shownFor = store.user;
  if (!document.hidden) {
    const told = await ask("desk", { user: shownFor }).catch((error) => ({ orders: [], positions: [], portfolios: [], more: [], problem: error.message }));
    if (question !== asked) return;
    show(told);
  }
  timer = setTimeout(look, FRESH_MILLISECONDS);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || byId("desk").hidden) return;
  clearTimeout(timer);
  look();
});

// When the OMS responded last, and how long ago that is.
let readAt = null;
function showAge() {
  const age = byId("desk-age");
  if (!age || !readAt) return;
  const seconds = Math.max(0, Math.round((Date.now() - readAt) / 1000));
  age.textContent = `As of ${readAt.toLocaleTimeString("en-GB")}, ${seconds} s ago.`;
}
setInterval(() => byId("desk").hidden || showAge(), 1000);

function show({ orders, positions, portfolios, more, problem }) {
  byId("desk-problem").textContent = problem;
  if (!problem) readAt = new Date();
  showAge();
  fill(byId("desk-orders"), el("h3", {}, "Working orders"),
    orders.length ? orderTable(orders) : nothing(problem, "None."),
    more.includes("orders") && el("p", { class: "faint" }, `The newest ${orders.length} are shown; there are more.`));
  fill(byId("desk-positions"), el("h3", {}, "Positions"),
    positions.length ? positionTable(positions) : nothing(problem, "None."),
    more.includes("positions") && el("p", { class: "faint" }, `The first ${positions.length} are shown; there are more.`));
  fill(byId("desk-portfolios"), el("h3", {}, "Portfolios"),
    portfolios.length ? portfolioTable(portfolios, positions, more.includes("positions")) : nothing(problem, "None."),
    more.includes("portfolios") && el("p", { class: "faint" }, `The first ${portfolios.length} are shown; there are more.`));
}

const nothing = (problem, text) => el("p", { class: "faint" }, problem ? "Not known." : text);

function orderTable(orders) {
  const known = new Set(orders.map((order) => order.id));
  return table(["Symbol", "Side", "Quantity", "Filled", "Type", "Price", "Status"], [2, 3, 5], byPortfolio(orders).map(([name, rows]) => [
    name, rows.map((order) => ({
      class: known.has(order.parent_id) ? "leg" : null,
      cells: [order.symbol, side(order.side), grouped(order.quantity), grouped(order.filled_quantity),
        [words(order.type), el("small", {}, order.role ? `${order.time_in_force} · ${ROLES[order.role] || words(order.role)}` : order.time_in_force)],
        price(order), words(order.status)],
    })),
  ]));
}

function positionTable(positions) {
  return table(["Symbol", "Quantity", "Average cost", "Mark", "Unrealized"], [1, 2, 3, 4], byPortfolio(positions).map(([name, rows]) => [
    `${name} · unrealized ${signed(rounded(sum(rows, "unrealized_pnl")))} ${rows[0].base_currency}`, rows.map((row) => ({
      cells: [row.product ? `${row.symbol} ${row.product}` : row.symbol, grouped(row.quantity), grouped(rounded(row.avg_cost)),
        [grouped(rounded(row.mark)), row.mark_is_stale && el("small", {}, "stale")],
        el("span", { class: row.unrealized_pnl.startsWith("-") ? "bad" : "good" }, signed(rounded(row.unrealized_pnl)))],
    })),
  ]));
}

// Cash, the positions' value, unrealized and day P&L, a row for each portfolio and a total for each currency.
function portfolioTable(portfolios, positions, isCut) {
  const currencies = [...new Set(portfolios.map((one) => one.base_currency))].sort();
  return table(["Portfolio", "Cash", "Positions", "Unrealized", "Day P&L", "Total"], [1, 2, 3, 4, 5], currencies.map((currency) => {
    const rows = portfolios.filter((one) => one.base_currency === currency).map((one) => {
      const held = positions.filter((position) => position.portfolio_name === one.portfolio_name);
      return {
        name: one.portfolio_name, cash: Number(one.cash), value: sum(held, "market_value"), pnl: sum(held, "unrealized_pnl"),
        day: one.day_pnl == null ? NaN : Number(one.day_pnl),
      };
    });
    const total = {
      name: `Total ${currency}`, cash: sum(rows, "cash"), value: sum(rows, "value"), pnl: sum(rows, "pnl"), day: sum(rows, "day"),
    };
    return [currency, [...rows, ...(rows.length > 1 ? [total] : [])].map(({ name, cash, value, pnl, day }) => ({
      class: name === total.name ? "total" : null,
      cells: [name, cents(cash), ...(isCut ? ["not known", "not known", profit(day), "not known"]
        : [cents(value), profit(pnl), profit(day), cents(cash + value)])],
    }))];
  }));
}

const profit = (value) => Number.isNaN(value) ? "not known"
  : el("span", { class: value < 0 ? "bad" : "good" }, signed(rounded(value)));
const sum = (rows, fact) => rows.reduce((total, row) => total + Number(row[fact]), 0);
const cents = (value) => grouped(rounded(value));

function byPortfolio(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.portfolio_name, [...(groups.get(row.portfolio_name) || []), row]);
  return [...groups].sort(([one], [other]) => one.localeCompare(other));
}

function table(heads, numeric, groups) {
  const kind = (column) => (numeric.includes(column) ? "number" : null);
  return el("table", { class: "desk-table" },
    el("thead", {}, el("tr", {}, heads.map((head, column) => el("th", { scope: "col", class: kind(column) }, head)))),
    groups.map(([name, rows]) => el("tbody", {},
      el("tr", {}, el("th", { scope: "rowgroup", colspan: heads.length, class: "group-name" }, name)),
      rows.map((row) => el("tr", { class: row.class },
        row.cells.map((cell, column) => el("td", { class: kind(column) }, cell)))))));
}

// For people: two decimals, up to four below one, and four digits of what is tiny.
function rounded(amount) {
  const value = Number(amount);
  const size = Math.abs(value);
  const places = size > 0 && size < 0.01 ? { maximumSignificantDigits: 4 }
    : { minimumFractionDigits: 2, maximumFractionDigits: size < 1 ? 4 : 2 };
  return value.toLocaleString("en-US", { ...places, useGrouping: false });
}

const side = (text) => el("span", { class: text === "BUY" ? "good" : "bad" }, text);
const signed = (amount) => (amount.startsWith("-") || /^[0.]*$/.test(amount) ? grouped(amount) : `+${grouped(amount)}`);
const grouped = (amount) => amount.replace(/^-?\d+/, (whole) => whole.replace(/\d(?=(\d{3})+$)/g, "$&,"));
const words = (text) => text.replaceAll("_", " ").toLowerCase().replace(/^./, (letter) => letter.toUpperCase());

function price(order) {
  const trail = Object.keys(TRAIL_SIGN).find((name) => order[name] !== null);
  if (trail) return [order.trail_level ? grouped(order.trail_level) : "no level yet", el("small", {}, `trails by ${order[trail]}${TRAIL_SIGN[trail]}`)];
  if (order.stop_price && order.limit_price) return [grouped(order.limit_price), el("small", {}, `stop ${grouped(order.stop_price)}`)];
  return grouped(order.limit_price || order.stop_price || "market");
}
