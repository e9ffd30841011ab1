/* Rows as a list: text, cluster, score; the same wherever rows are shown.

   rowList(rows, context) -> <ul>;  rowItem(row, context) -> <li>
   context: {store, here(patch) -> href, lit(key | null)}, see app.js.
   Promise: texts stand in their own direction, shortened by the page's style alone, and "More" is
   there only where something is hidden. */

import { h, own, percent } from "./app-dom.js";

export const NOISE = -1;

export function chip(cluster, context) {
  if (!cluster) return h("span", { class: "chip none" }, "no label");
  const { store, here } = context;
  if (cluster.id === NOISE)
    return h("a", { class: "chip noise", href: here({ view: "noise" }) }, "noise");
  return h(
    "a",
    {
      class: "chip",
      color: store.colors(cluster.id),
      href: here({ view: "cluster", id: cluster.id }),
      title: `cluster ${cluster.id}`,
    },
    h("i", { class: "dot" }),
    own(cluster.title),
  );
}

/* Milvus gives a distance for L2 and a similarity for the others. */
export function score(row, store) {
  if (row.score === null || row.score === undefined) return null;
  const near = store.collection.metric === "L2" ? "distance" : "similarity";
  const told = `${near} ${row.score.toFixed(3)} (${store.collection.metric})`;
  return h("span", { class: "score", title: told }, row.score.toFixed(3));
}

function belonging(row) {
  if (row.probability === null || row.probability === undefined) return null;
  if (!row.cluster || row.cluster.id === NOISE) return null;
  const sure = percent(row.probability);
  const told = row.assignment ? `${row.assignment}, probability ${sure}` : `probability ${sure}`;
  return h(
    "span",
    { class: "sure", title: told },
    row.assignment === "core" ? null : h("em", {}, row.assignment || ""),
    h("meter", { min: 0, max: 1, value: row.probability, "aria-label": told }),
    h("span", {}, sure),
  );
}

export function picture(row, large) {
  if (!row.image || !/^data:image\//.test(row.image)) return null;
  return h("img", { class: large ? "picture large" : "picture", src: row.image, alt: "" });
}

export function rowItem(row, context) {
  const { here, lit, store } = context;
  const words = row.text ?? "";
  const open = h(
    "a",
    { class: "text", href: here({ row: row.key }), dir: "auto", "data-key": row.key },
    words.trim() ? words : `row ${row.key}`,
  );
  const item = h(
    "li",
    {
      class: "row",
      "data-key": row.key,
      onmouseenter: () => lit(row.key),
      onmouseleave: () => lit(null),
      onfocusin: () => lit(row.key),
      onfocusout: () => lit(null),
    },
    h("div", { class: "meta" }, chip(row.cluster, context), belonging(row), score(row, store)),
    h("div", { class: "body" }, picture(row), open),
    h(
      "div",
      { class: "acts" },
      h(
        "span",
        { class: "about" },
        h("span", { class: "key" }, own(row.key)),
        Object.entries(row.fields || {})
          .slice(0, 3)
          .map(([name, value]) => field(name, value)),
        row.duplicate_of ? copyMark(row, here) : null,
      ),
      h(
        "a",
        { href: here({ view: "similar", like: row.key, clusters: [], n: 20 }) },
        "Similar rows",
      ),
    ),
  );
  return item;
}

function field(name, value) {
  const text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
  return value === null
    ? null
    : h("span", { class: "field-value" }, own(`${name} `), own(text.slice(0, 60)));
}

function copyMark(row, here) {
  return h("a", { href: here({ row: row.duplicate_of }) }, "copy of ", own(row.duplicate_of));
}

export function rowList(rows, context) {
  const list = h("ul", { class: "rows" });
  append(list, rows, context);
  return list;
}

export function append(list, rows, context) {
  list.append(...rows.map((row) => rowItem(row, context)));
  requestAnimationFrame(() => list.querySelectorAll(".text:not([data-seen])").forEach(shortened));
}

/* What is hidden is known only once it is laid out. */
function shortened(text) {
  text.dataset.seen = "";
  if (text.scrollHeight <= text.clientHeight + 2) return;
  const more = h(
    "button",
    {
      type: "button",
      class: "link",
      "aria-expanded": "false",
      onclick: () => {
        const open = text.classList.toggle("whole");
        more.textContent = open ? "Less" : "More";
        more.setAttribute("aria-expanded", open);
      },
    },
    "More",
  );
  text.closest(".row").querySelector(".acts").prepend(more);
}

/* A button that fetches what comes next: next() -> null when that was the last; an error stands
   beside it. */
export function moreButton(label, next, context) {
  const button = h("button", { type: "button", class: "next", onclick: go }, label);
  const told = h("p", { class: "error", role: "alert", hidden: true });
  const line = h("div", { class: "further" }, button, told);
  async function go() {
    button.disabled = true;
    told.hidden = true;
    try {
      if ((await next()) === null) line.remove();
    } catch (error) {
      context.failed(error, () => {
        told.textContent = error.message;
        told.hidden = false;
      });
    }
    button.disabled = false;
  }
  return line;
}
