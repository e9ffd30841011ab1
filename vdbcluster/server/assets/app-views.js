/* The middle of the page, one function for each way to look.

   VIEWS[state.view](element, context) -> Promise, which fills the element
   context: see app.js; context.listed(rows) tells the map which rows are shown.
   Promise: pages follow each other ("More"), errors stand where rows would, a view that has been
   left fills nothing. */

import { drop, get } from "./app-api.js";
import { byKey, paged } from "./app-paging.js";
import { duplicates } from "./app-duplicates.js";
import { clusterCard } from "./app-card.js";
import {
  clustersOf,
  count,
  empty,
  fill,
  h,
  own,
  percent,
  rowsOf,
  say,
  waiting,
  when,
} from "./app-dom.js";
import { editing } from "./app-edit.js";
import { filterBar, filterTrouble } from "./app-filter.js";
import { rowItem } from "./app-rows.js";
import { PAGE } from "./app-state.js";

const TILES = 60;
const DEEP = 10000;

export const VIEWS = { overview, rows: search, search, cluster, similar, noise, duplicates };

async function overview(element, { store, here, lit }) {
  const { collection: told, noise: n } = store;
  drop("main");
  const share = told.rows && n ? `${percent(n / told.rows)} noise` : null;
  const run = told.run ? `clustered ${when(told.run.at)}` : null;
  const line = [rowsOf(told.rows), clustersOf(store.clusters.length), share, run].filter(Boolean);
  const most = Math.max(1, ...store.clusters.map((one) => one.size));
  const tile = (one) =>
    h(
      "li",
      { color: store.colors(one.id), part: `${(100 * one.size) / most}%` },
      h(
        "a",
        {
          class: "tile",
          href: here({ view: "cluster", id: one.id }),
          onmouseenter: () => one.medoid && lit(one.medoid.key),
          onmouseleave: () => lit(null),
        },
        h("h2", {}, h("i", { class: "dot" }), own(one.title)),
        h("i", { class: "bar" }),
        h("span", { class: "number" }, rowsOf(one.size)),
        one.description || one.medoid?.text
          ? h("p", { dir: "auto" }, one.description || one.medoid.text)
          : null,
      ),
    );
  const none = empty(
    "No clusters yet",
    "Run vdbcluster run on this collection, then load this page again.",
    "All rows can be searched and read already.",
  );
  fill(
    element,
    h(
      "header",
      { class: "heading" },
      h("h1", { tabindex: "-1", id: "title" }, own(told.collection)),
      h("p", { class: "hint" }, line.join(" · ")),
    ),
    store.clusters.length
      ? h("ul", { class: "tiles" }, store.clusters.slice(0, TILES).map(tile))
      : none,
    store.clusters.length > TILES
      ? h(
          "p",
          { class: "hint" },
          `The other ${count(store.clusters.length - TILES)} are in the list of clusters.`,
        )
      : null,
  );
}

async function search(element, context) {
  const { state, store } = context;
  const asked = state.q.trim();
  const heading = asked
    ? ["Nearest to “", own(asked), "”"]
    : state.clusters.length || state.filter || state.core
      ? "Filtered rows"
      : "All rows";
  const hint = h("p", { class: "hint" });
  const list = h("div", { class: "list" }, waiting());
  fill(
    element,
    h("header", { class: "heading" }, h("h1", { tabindex: "-1", id: "title" }, heading), hint),
    filterBar(context),
    list,
  );
  if (asked && !store.collection.search.available) return unavailable(list, context);
  const query = {
    q: asked,
    cluster: state.clusters,
    filter: state.filter,
    assignment: state.core ? "core" : null,
  };
  let found;
  try {
    found = await get("main", "search", { ...query, limit: state.n, offset: 0 });
  } catch (error) {
    if (filterTrouble(element, error, state)) return fill(list);
    throw error;
  }
  context.faceted(found);
  hint.textContent = `${asked ? "most similar first" : "by key"} · ${Math.round(found.ms)} ms`;
  return paged(list, context, found.rows, {
    none: empty("No rows", "Nothing in the collection fits all of these filters."),
    next: async (shown) =>
      shown + PAGE > DEEP
        ? []
        : (await get("main", "search", { ...query, limit: PAGE, offset: shown })).rows,
    whole: found.rows.length < state.n,
  });
}

function unavailable(list, { store, here }) {
  drop("main");
  fill(
    list,
    h(
      "div",
      { class: "trouble" },
      h("p", {}, h("b", {}, "Search is unavailable: "), own(store.collection.search.reason)),
      h(
        "p",
        {},
        "Browsing works: ",
        h("a", { href: here({ view: "overview", q: "" }) }, "clusters"),
        ", ",
        h("a", { href: here({ view: "rows", q: "" }) }, "all rows"),
        ".",
      ),
    ),
  );
  say("Search is unavailable");
}

async function cluster(element, context) {
  const { state } = context;
  fill(element, waiting());
  const found = await get("main", `clusters/${state.id}`);
  context.names(found);
  const list = h("div", { class: "list" }, waiting(3));
  fill(
    element,
    clusterCard(found, context, editing(found, context)),
    h("h2", { class: "above" }, "Its rows ", h("small", {}, rowsOf(found.size))),
    list,
  );
  document.title = `${found.title} · ${context.store.collection.collection}`;
  await byKey(
    list,
    context,
    `clusters/${state.id}/rows`,
    empty("No rows", "No row has this id now."),
  );
}

async function similar(element, context) {
  const { state } = context;
  const origin = h("div", { class: "origin" }, waiting(1));
  const list = h("div", { class: "list" }, waiting());
  fill(
    element,
    h(
      "header",
      { class: "heading" },
      h("h1", { tabindex: "-1", id: "title" }, "Similar rows"),
      h("p", { class: "hint" }, "most similar first"),
    ),
    origin,
    list,
  );
  const row = await get("main", "row", { key: state.like });
  fill(origin, h("ul", { class: "rows" }, rowItem({ ...row, score: null }, context)));
  const query = { key: state.like, cluster: state.clusters };
  const found = await get("main", "row/similar", { ...query, limit: Math.max(state.n, 2 * PAGE) });
  paged(list, context, found.rows, {
    none: empty("No rows", "No other row has a vector like it."),
    whole: true,
  });
}

async function noise(element, context) {
  const list = h("div", { class: "list" }, waiting());
  const n = context.store.noise;
  fill(
    element,
    h(
      "header",
      { class: "heading" },
      h("h1", { tabindex: "-1", id: "title" }, "Noise"),
      h(
        "p",
        { class: "hint" },
        `${n === null ? "" : `${rowsOf(n)} · `}rows that are close to no dense group`,
      ),
    ),
    list,
  );
  await byKey(list, context, "noise", empty("No noise", "Every labelled row is in a cluster."));
}
