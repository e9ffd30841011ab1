/* The side: ways to look, counts of clusters in the results, and all clusters.

   drawWays(element, context): overview, rows, noise, duplicates
   drawFacets(element, found, context): how many of the nearest rows are in which cluster
   drawClusters(element, found, context): sorted, filtered by words, the pinned first
   context: see app.js; go(patch) changes the address. */

import { count, h, fill, icon, own, refill } from "./app-dom.js";
import { NOISE } from "./app-rows.js";
import { SORTS } from "./app-state.js";

const SORTED = {
  size: "largest first",
  name: "by name",
  stability: "most stable first",
  id: "by id",
  interest: "most interesting first",
};
const FEW = 10;

export function drawWays(element, context) {
  const { state, store, here } = context;
  const way = (view, name, number) =>
    h(
      "li",
      {},
      h(
        "a",
        {
          href: here({ view, q: "", clusters: [], filter: "", core: false, row: null }),
          "aria-current": state.view === view ? "page" : null,
          "data-stop": view,
        },
        name,
        number === null ? null : h("span", { class: "number" }, count(number)),
      ),
    );
  const rows = store.collection?.rows ?? null;
  refill(
    element,
    h(
      "ul",
      { class: "ways" },
      way("overview", "Overview", null),
      way("rows", "All rows", rows),
      way("noise", "Noise", store.noise),
      way("duplicates", "Near duplicates", null),
    ),
  );
}

export function drawFacets(element, answer, context) {
  const { state, go } = context;
  const found = answer && counted(answer, context);
  if (!found) return fill(element);
  const most = Math.max(...found.facets.map((facet) => facet.count));
  const chosen = new Set(state.clusters);
  const gone = state.clusters.filter((id) => !found.facets.some((facet) => facet.id === id));
  const all = [
    ...found.facets,
    ...gone.map((id) => ({ id, title: context.store.title(id), count: 0 })),
  ];
  const shown = (facet, place) => place < FEW || chosen.has(facet.id) || element.dataset.all;
  refill(
    element,
    h(
      "h2",
      { id: "facets-name" },
      found.sizes ? "Filter by cluster" : "In these results",
      chosen.size
        ? h(
            "button",
            { type: "button", class: "link", onclick: () => go({ clusters: [] }) },
            "Clear",
          )
        : null,
    ),
    h("p", { class: "hint" }, told(found)),
    h(
      "ul",
      { class: "facets", "aria-labelledby": "facets-name" },
      all.filter(shown).map((facet) => facetItem(facet, most, chosen, context)),
    ),
    all.filter(shown).length < all.length
      ? h(
          "button",
          {
            type: "button",
            class: "link",
            onclick: () => {
              element.dataset.all = "1";
              drawFacets(element, answer, context);
            },
          },
          `All ${count(all.length)} clusters`,
        )
      : null,
  );
}

/* Where nothing is searched for, the sizes of all clusters are the counts. */
function counted(found, { state, store }) {
  if (found.facets.length || state.q.trim()) return found;
  const all = store.clusters.map(({ id, title, size }) => ({ id, title, count: size }));
  if (store.noise) all.push({ id: NOISE, title: "noise", count: store.noise });
  return { ...found, facets: all, sizes: true };
}

const told = (found) =>
  found.sizes
    ? "Clusters of all rows. Choose several."
    : `Clusters of the ${count(found.facet_rows)} nearest rows. Choose several.`;

function facetItem(facet, most, chosen, { store, go, state }) {
  const name = facet.id === NOISE ? "noise" : facet.title;
  const flip = (event) =>
    go({
      clusters: event.target.checked
        ? [...state.clusters, facet.id]
        : state.clusters.filter((id) => id !== facet.id),
    });
  return h(
    "li",
    { color: store.colors(facet.id), part: `${(100 * facet.count) / most}%` },
    h(
      "label",
      {},
      h("input", {
        type: "checkbox",
        checked: chosen.has(facet.id),
        onchange: flip,
        "data-facet": facet.id,
        "data-stop": facet.id,
      }),
      h("span", { class: "title" }, own(name)),
      h("span", { class: "number" }, count(facet.count)),
      h("i", { class: "bar" }),
    ),
  );
}

export function clusterTools(context) {
  const { state, go } = context;
  const later = debounce((words) => context.go({ words }, { replace: true }), 150);
  return h(
    "div",
    { class: "tools" },
    h("input", {
      type: "search",
      class: "small",
      value: state.words,
      maxlength: 200,
      dir: "auto",
      placeholder: "Filter clusters by words",
      "aria-label": "Filter clusters by words",
      oninput: (event) => later(event.target.value),
    }),
    h(
      "div",
      { class: "pair" },
      h(
        "select",
        {
          "aria-label": "Order of clusters",
          onchange: (event) => go({ sort: event.target.value }, { replace: true }),
        },
        SORTS.map((sort) =>
          h("option", { value: sort, selected: sort === state.sort }, SORTED[sort]),
        ),
      ),
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          checked: state.hidden,
          onchange: (event) => go({ hidden: event.target.checked }, { replace: true }),
        }),
        "hidden too",
      ),
    ),
  );
}

const isMerged = (cluster) => cluster.merged_into !== undefined && cluster.merged_into !== null;

export function drawClusters(element, found, context) {
  const { state, store, here } = context;
  if (!found.clusters.length) {
    const none = state.words ? "No cluster has these words." : "There are no clusters yet.";
    return fill(element, h("p", { class: "hint" }, none));
  }
  const item = (cluster) =>
    h(
      "li",
      { color: store.colors(cluster.id) },
      h(
        "a",
        {
          href: here({ view: "cluster", id: cluster.id, row: null }),
          "data-stop": cluster.id,
          class: cluster.hidden || isMerged(cluster) ? "faint" : "",
          "aria-current": state.view === "cluster" && state.id === cluster.id ? "page" : null,
        },
        h("i", { class: "dot" }),
        h("span", { class: "title" }, own(cluster.title)),
        cluster.pinned
          ? h("span", { title: "pinned" }, icon("pin"), h("span", { class: "unseen" }, "pinned"))
          : null,
        isMerged(cluster) ? h("small", {}, `in ${cluster.merged_into}`) : null,
        cluster.hidden
          ? h("span", { title: "hidden" }, icon("hidden"), h("span", { class: "unseen" }, "hidden"))
          : null,
        h("span", { class: "number" }, count(cluster.size)),
      ),
    );
  return refill(element, h("ul", { class: "clusters" }, found.clusters.map(item)));
}

function debounce(call, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
}
