// Slack's data tables: sorted by a click on a heading, and shown a page at a time.

import { el, fill } from "./dom.js";
import { richText } from "./richtext.js";

const DEFAULT_PAGE_SIZE = 5;
const ORDERS = { ascending: 1, descending: -1 };

export function dataTable(block) {
  const [header, ...rows] = block.rows;
  const size = block.page_size || DEFAULT_PAGE_SIZE;
  const name = block.row_header_column_index || 0;
  const shown = { page: 0, column: null, order: "ascending" };
  const node = el("div", { "data-testid": "data-table" });
  const numeric = header.map((_, column) => rows.every((row) => row[column].type === "raw_number"));

  function sorted() {
    if (shown.column === null) return rows;
    return [...rows].sort((one, other) => ORDERS[shown.order] * compare(one[shown.column], other[shown.column]));
  }

  function sortBy(column) {
    const again = shown.column === column && shown.order === "ascending";
    Object.assign(shown, { column, order: again ? "descending" : "ascending", page: 0 });
    draw();
    node.querySelectorAll("th button")[column].focus();
  }

  function draw() {
    const page = sorted().slice(shown.page * size, (shown.page + 1) * size);
    fill(node,
      el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": block.caption },
        el("table", { class: "data-table" },
          el("caption", {}, block.caption),
          el("thead", {}, el("tr", {}, header.map((cell, column) => el("th", {
            scope: "col", class: numeric[column] ? "number" : null,
            "aria-sort": shown.column === column ? shown.order : null,
          }, el("button", { type: "button", onclick: () => sortBy(column) }, cell.text))))),
          el("tbody", {}, page.map((row) => el("tr", {}, row.map((cell, column) =>
            el(column === name ? "th" : "td", {
              scope: column === name ? "row" : null, class: cell.type === "raw_number" ? "number" : null,
            }, content(cell)))))))),
      rows.length > size && pages());
  }

  function pages() {
    const last = Math.ceil(rows.length / size) - 1;
    const turn = (label, page) => el("button", {
      type: "button", class: "button quiet", disabled: page < 0 || page > last,
      onclick: () => { shown.page = page; draw(); },
    }, label);
    return el("p", { class: "table-pages faint" }, turn("Previous", shown.page - 1),
      ` Page ${shown.page + 1} of ${last + 1} `, turn("Next", shown.page + 1));
  }

  draw();
  return node;
}

const content = (cell) => (cell.type === "rich_text" ? richText(cell) : cell.text ?? String(cell.value));

function compare(one, other) {
  if (one.type === "raw_number" && other.type === "raw_number") return one.value - other.value;
  return String(one.text).localeCompare(String(other.text), undefined, { numeric: true });
}
