/* The search page: the address says what is shown, this file shows it.

   State is read from the address (app-state.js); every link and deed makes a new address, and back
   and forward work as anywhere. Regions: side, middle, map, row. ``context`` is what they share:
     state, store         what is shown, and what is known of the collection
     here(patch) -> href  the address of a changed state;  go(patch, {replace}) goes there
     lit(key | null)      a ring on the map;  listed(keys) what stands out on it
     failed(error, draw)  asks for the token, else draws
     edited(), faceted(), names(), paged()  what regions tell each other */

import { Stale, follow, get } from "./app-api.js";
import { hideDetail, showDetail } from "./app-detail.js";
import { clustersOf, fill, h, rowsOf, trouble, waiting } from "./app-dom.js";
import { keys, tabs, themeButton } from "./app-keys.js";
import { login } from "./app-login.js";
import { MapPanel } from "./app-map.js";
import { NOISE } from "./app-rows.js";
import { clusterTools, drawClusters, drawFacets, drawWays } from "./app-side.js";
import { START, address, middle, read, searching } from "./app-state.js";
import { Store } from "./app-store.js";
import { VIEWS } from "./app-views.js";

const $ = (id) => document.getElementById(id);
const store = new Store();
let state = read(location.search);
let shown = { middle: null, row: null, list: null };
const parts = {};

const context = {
  get state() {
    return state;
  },
  store,
  here,
  go,
  failed,
  edited,
  listed,
  faceted,
  names,
  paged,
  lit: (key) => map.point(key ?? (state.row !== null ? state.row : null)),
};

const map = new MapPanel($("map"), {
  color: (id) => store.mapColor(id),
  colors: (id) => store.mapColors(id),
  title: (id) => store.mapTitle(id),
  pick: (key) => go({ row: key }),
  choose,
  text: async (key) => {
    try {
      return (await get("hover", "row", { key })).text ?? `row ${key}`;
    } catch {
      return "";
    }
  },
});

/* The state that a patch leads to: another way to look begins afresh, and closes the row. */
function changed(patch) {
  const next =
    "view" in patch
      ? { ...START, words: state.words, sort: state.sort, hidden: state.hidden }
      : { ...state };
  Object.assign(next, patch);
  const stays = Object.keys(patch).every((name) =>
    ["row", "words", "sort", "hidden", "n"].includes(name),
  );
  if (!stays) Object.assign(next, { n: START.n, row: patch.row ?? null });
  if (["overview", "search"].includes(next.view))
    next.view = searching(next) ? "search" : "overview";
  if (next.view === "rows" && searching(next)) next.view = "search";
  return next;
}

function here(patch) {
  return address(changed(patch));
}

function go(patch, { replace = false } = {}) {
  visit(here(patch), replace);
}

function visit(href, replace) {
  if (href === location.search || (href === "?" && !location.search)) return;
  history[replace ? "replaceState" : "pushState"](null, "", href === "?" ? "/" : href);
  state = read(location.search);
  show();
}

/* On the map one chooses a cluster: results are filtered by it, elsewhere it is browsed. */
function choose(id) {
  window.dispatchEvent(new Event("vdbcluster-shown"));
  if (!["search", "rows"].includes(state.view)) return go({ view: "cluster", id });
  const rest = state.clusters.filter((one) => one !== id);
  return go({ clusters: rest.length < state.clusters.length ? rest : [...rest, id] });
}

async function show() {
  if ($("q") !== document.activeElement || $("q").value.trim() !== state.q.trim())
    $("q").value = state.q;
  const list = JSON.stringify([state.words, state.sort, state.hidden]);
  drawWays(parts.ways, context);
  if (list !== shown.list) listClusters();
  else drawClusters(parts.clusters, store.listed, context);
  const now = middle(state);
  const other = now !== shown.middle;
  const row = state.row !== shown.row || other;
  shown = { middle: now, row: state.row, list };
  if (other) showMiddle();
  if (row) showRow(other);
}

let turn = 0;

async function showMiddle() {
  const main = $("main");
  const { view } = state;
  const mine = (turn += 1);
  const first = !document.body.dataset.view;
  document.title = `${state.q ? `${state.q} · ` : ""}${store.collection.collection} · vdbcluster`;
  document.body.dataset.view = view;
  if (view !== "search" && view !== "rows") faceted(null);
  only();
  main.setAttribute("aria-busy", "true");
  main.scrollTop = 0;
  try {
    await VIEWS[view](main, context);
  } catch (error) {
    failed(error, () => fill(main, trouble(error, showMiddle)));
  }
  if (mine !== turn) return;
  main.removeAttribute("aria-busy");
  // A link that was followed is gone, and with it the focus.
  if (!first && document.activeElement === document.body && state.row === null)
    $("title")?.focus({ preventScroll: true });
}

function showRow(moved) {
  const detail = $("detail");
  document.body.classList.toggle("with-row", state.row !== null);
  if (state.row !== null) return showDetail(detail, context);
  if (detail.hidden) return undefined;
  const before = detail.dataset.key;
  hideDetail(detail);
  map.point(null);
  const origin = document.querySelector(`#main a[data-key="${CSS.escape(before ?? "")}"]`);
  if (!moved) (origin ?? $("main")).focus();
  return undefined;
}

async function listClusters() {
  try {
    const { words, sort, hidden } = state;
    store.listed = await get("clusters", "clusters", { q: words, sort, hidden });
    drawClusters(parts.clusters, store.listed, context);
  } catch (error) {
    failed(error, () => fill(parts.clusters, trouble(error, listClusters)));
  }
}

function listed(keys) {
  map.light(["search", "similar", "duplicates", "noise"].includes(state.view) ? keys : null);
}

function only() {
  map.light(null);
  const ids = state.view === "cluster" ? [state.id] : state.clusters;
  map.only(ids.filter((id) => id !== NOISE));
}

function faceted(found) {
  delete parts.facets.dataset.all;
  drawFacets(parts.facets, found, context);
}

function names(cluster) {
  store.know(cluster);
}

function paged(n) {
  history.replaceState(null, "", address({ ...state, n }));
  state = read(location.search);
}

async function edited(_answer, next = null) {
  await store.load();
  drawHead();
  await Promise.all([listClusters(), loadMap()]);
  if (next !== null) return go({ view: "cluster", id: next });
  return showMiddle();
}

function failed(error, draw) {
  if (error instanceof Stale) return;
  if (error.status === 401) return void login($("main"), start);
  if (error.status === undefined) throw error;
  draw();
}

async function loadMap() {
  if (!store.collection.map) {
    return map.tell(
      h("p", {}, "No map yet."),
      h("p", { class: "hint" }, store.collection.map_advice || "vdbcluster map lays out the rows."),
    );
  }
  try {
    map.show(await get("map", "map"));
  } catch (error) {
    failed(error, () => map.tell(trouble(error, loadMap)));
  }
  return undefined;
}

function drawHead() {
  const { collection } = store;
  $("name").textContent = collection.collection;
  $("about").textContent = `${rowsOf(collection.rows)} · ${clustersOf(store.clusters.length)}`;
  const { available, reason } = collection.search;
  $("q").placeholder = available ? "Search by meaning" : "Search is unavailable";
  $("q").title = available ? "" : reason;
}

function drawSide() {
  for (const name of ["ways", "facets", "clusters"])
    parts[name] = h("div", { class: name === "facets" ? "facet-box" : "" });
  fill(
    $("side"),
    parts.ways,
    parts.facets,
    h("h2", {}, "Clusters"),
    clusterTools(context),
    parts.clusters,
  );
}

/* A run has written other labels since the page learnt of the clusters. */
function labelled(run) {
  const banner = $("banner");
  banner.hidden = store.run === null || run === store.run;
  if (banner.hidden) return;
  fill(
    banner,
    "A new run has labelled this collection.",
    h("button", { type: "button", onclick: start }, "Show its clusters"),
  );
}

async function start() {
  $("banner").hidden = true;
  fill($("main"), waiting());
  try {
    await store.load();
  } catch (error) {
    failed(error, () => fill($("main"), trouble(error, start)));
    return;
  }
  document.body.classList.add("ready");
  drawHead();
  drawSide();
  shown = { middle: null, row: null, list: null };
  show();
  loadMap();
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const q = $("q").value.trim();
  const { clusters, filter, core } = state;
  const kept = ["search", "rows"].includes(state.view) ? { clusters, filter, core } : {};
  go({ view: "search", q, ...kept });
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="?"], a.brand');
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  event.preventDefault();
  window.dispatchEvent(new Event("vdbcluster-shown"));
  visit(link.classList.contains("brand") ? "?" : link.getAttribute("href"), false);
});
window.addEventListener("popstate", () => {
  state = read(location.search);
  if (store.collection) {
    drawSide();
    show();
  }
});
follow(labelled);
keys(context);
tabs($("tabs"));
themeButton($("theme"));
start();
