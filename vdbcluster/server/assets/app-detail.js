/* One row, with all its fields, its copies, and rows like it.

   showDetail(element, context) -> Promise;  the row is context.state.row, a key
   hideDetail(element)
   Promise: Escape and the button close it; the focus goes back where it came from. */

import { Stale, get } from "./app-api.js";
import { fill, h, icon, own, percent, trouble, waiting } from "./app-dom.js";
import { rowLink } from "./app-card.js";
import { chip, picture, score } from "./app-rows.js";

const LIKE = 6;

export async function showDetail(element, context) {
  const key = context.state.row;
  element.hidden = false;
  element.dataset.key = key;
  fill(element, frame(key, context, waiting(4)));
  element.focus({ preventScroll: true });
  context.lit(key);
  try {
    const row = await get("row", "row", { key });
    fill(element, frame(key, context, body(row, context)));
    const near = await get("row-similar", "row/similar", { key, limit: LIKE });
    element.querySelector(".like")?.append(likes(near.rows, context));
  } catch (error) {
    if (error instanceof Stale) return;
    context.failed(error, () =>
      fill(
        element,
        frame(
          key,
          context,
          trouble(error, () => showDetail(element, context)),
        ),
      ),
    );
  }
}

export function hideDetail(element) {
  element.hidden = true;
  fill(element);
}

function frame(key, { go }, inner) {
  return [
    h(
      "header",
      {},
      h("h2", {}, "Row ", own(key)),
      h(
        "button",
        {
          type: "button",
          class: "plain icon",
          "aria-label": "Close the row",
          onclick: () => go({ row: null }),
        },
        icon("close"),
      ),
    ),
    inner,
  ];
}

function body(row, context) {
  const { here } = context;
  const numbers = [
    ["probability", row.probability === null ? null : percent(row.probability)],
    ["outlier score", row.outlier_score === null ? null : row.outlier_score?.toFixed(2)],
    ["assignment", row.assignment],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h(
    "div",
    { class: "inside" },
    h("div", { class: "meta" }, chip(row.cluster, context)),
    picture(row, true),
    row.text === null ? null : h("p", { class: "fulltext", dir: "auto" }, row.text),
    h(
      "dl",
      { class: "facts" },
      numbers.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    row.duplicate_of
      ? h(
          "p",
          { class: "hint" },
          "A near copy of ",
          h("a", { href: here({ row: row.duplicate_of }) }, "row ", own(row.duplicate_of)),
          ".",
        )
      : null,
    h(
      "section",
      { class: "like" },
      h(
        "h3",
        {},
        "Rows like it ",
        h(
          "a",
          { href: here({ view: "similar", like: row.key, row: null, clusters: [] }) },
          "see all",
        ),
      ),
    ),
    table(row),
  );
}

function likes(rows, context) {
  if (!rows.length) return h("p", { class: "hint" }, "None.");
  return h(
    "ul",
    { class: "lines" },
    rows.map((row) =>
      h(
        "li",
        {},
        h(
          "div",
          { class: "pairline" },
          rowLink(row.key, row.text, context),
          score(row, context.store),
        ),
      ),
    ),
  );
}

function table(row) {
  const known = Object.entries(row.fields).filter(([, value]) => value !== row.text);
  if (!known.length) return null;
  return h(
    "details",
    { open: true },
    h("summary", {}, "All fields"),
    h(
      "table",
      {},
      h(
        "tbody",
        {},
        known.map(([name, value]) =>
          h("tr", {}, h("th", { scope: "row" }, own(name)), h("td", { dir: "auto" }, shown(value))),
        ),
      ),
    ),
  );
}

function shown(value) {
  if (value === null || value === undefined) return h("span", { class: "faint" }, "null");
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
