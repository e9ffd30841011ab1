/* The card of a cluster: what is known of it, above its rows.

   clusterCard(cluster, context) -> Element;  cluster: answer of GET /api/clusters/{id}
   Promise: what was not looked at is not shown; rows that are cited are links. */

import { count, h, own, percent, rowsOf, when } from "./app-dom.js";
import { chip } from "./app-rows.js";

const SHOWN = 3;
const KINDS = {
  unchanged: "stayed",
  grown: "grew",
  shrunk: "shrank",
  born: "began",
  died: "ended",
  "split-from": "came from",
  "merged-into": "went into",
  "split-into": "parted into",
  "merged-from": "took in",
  unmerged: "taken out again",
};

export function clusterCard(cluster, context, editing) {
  const card = cluster.card;
  const said = card?.commentary;
  return h(
    "article",
    { class: "card", color: context.store.colors(cluster.id), "data-cluster": cluster.id },
    head(cluster, context, editing),
    cluster.description || said?.description
      ? h("p", { class: "lead", dir: "auto" }, cluster.description || said.description)
      : null,
    facts(cluster),
    keywords(cluster),
    h(
      "div",
      { class: "boxes" },
      box("Shown by", representatives(cluster, context)),
      box("Close to", similar(cluster, context)),
      box("What is unusual", unusual(said, context)),
      box("Fields", fields(card?.features)),
      box("Copies within", copies(card, context)),
      box("Hardly belongs", odd(card, context)),
      box("History", lineage(cluster)),
    ),
  );
}

function head(cluster, { here }, editing) {
  const state = [cluster.pinned && "pinned", cluster.hidden && "hidden"].filter(Boolean);
  return h(
    "header",
    {},
    h(
      "h1",
      { tabindex: "-1", id: "title" },
      h("i", { class: "dot" }),
      own(cluster.title),
      state.map((word) => h("span", { class: "tag" }, word)),
    ),
    h(
      "div",
      { class: "deeds" },
      h(
        "a",
        { class: "button", href: here({ view: "rows", clusters: [cluster.id], q: "" }) },
        "Search within",
      ),
      editing,
    ),
  );
}

function facts(cluster) {
  const share = (value) => (value === null || value === undefined ? null : percent(value));
  const pairs = [
    ["id", cluster.id],
    ["rows", count(cluster.size)],
    ["stability", share(cluster.stability)],
    ["persistence", share(cluster.persistence)],
    ["interest", cluster.interestingness === null ? null : `${cluster.interestingness} of 100`],
    ["first seen", when(cluster.first_seen)],
    ["last seen", when(cluster.last_seen)],
    ["state", cluster.state === "live" ? null : cluster.state],
    ["merged into", cluster.merged_into],
  ];
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h(
    "dl",
    { class: "facts" },
    known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
  );
}

function keywords(cluster) {
  const told = cluster.card?.keywords?.length
    ? cluster.card.keywords.map((word) => [word.term, word.share])
    : (cluster.keywords || []).map((word) => [word, null]);
  if (!told.length) return null;
  return h(
    "ul",
    { class: "keywords", "aria-label": "Keywords" },
    told.map(([term, share]) =>
      h(
        "li",
        { title: share === null ? null : `in ${percent(share)} of its rows` },
        own(term),
        share === null ? null : h("small", {}, percent(share)),
      ),
    ),
  );
}

const box = (title, inner) =>
  inner ? h("section", { class: "box" }, h("h2", {}, title), inner) : null;

export const rowLink = (key, text, { here, lit }) =>
  h(
    "a",
    {
      href: here({ row: key }),
      dir: "auto",
      class: "line",
      title: text || null,
      onmouseenter: () => lit(key),
      onmouseleave: () => lit(null),
    },
    text || `row ${key}`,
  );

const lines = (items) =>
  items.length
    ? h(
        "ul",
        { class: "lines" },
        items.map((item) => h("li", {}, item)),
      )
    : null;

function representatives(cluster, context) {
  const shown = cluster.card?.representatives;
  const all = shown
    ? [shown.medoid, ...shown.central, ...shown.diverse]
    : [cluster.medoid, ...(cluster.exemplars || [])];
  const seen = new Set();
  const fresh = all.filter((row) => row && !seen.has(row.key) && seen.add(row.key));
  return lines(fresh.slice(0, SHOWN + 1).map((row) => rowLink(row.key, row.text, context)));
}

function similar(cluster, context) {
  const words = new Map((cluster.card?.siblings || []).map((one) => [one.id, one.words]));
  const near = (cluster.similar || []).slice(0, SHOWN + 2);
  if (!near.length) return null;
  return h(
    "ul",
    { class: "near" },
    near.map((one) =>
      h(
        "li",
        {},
        chip(one, context),
        h("span", { class: "score", title: "cosine of the centroids" }, one.cosine.toFixed(2)),
        words.get(one.id)?.length
          ? h("small", {}, "this one, not that: ", own(words.get(one.id).slice(0, 4).join(", ")))
          : null,
      ),
    ),
  );
}

function unusual(said, context) {
  if (!said) return null;
  const claims = (said.unusual || []).map((claim) =>
    h(
      "span",
      {},
      h("span", { dir: "auto" }, claim.text),
      claim.cited.map((key) => [
        " ",
        h("a", { class: "cite", href: context.here({ row: key }) }, own(key)),
      ]),
    ),
  );
  const unique = said.unique ? [h("span", { dir: "auto" }, said.unique)] : [];
  return lines([...claims, ...unique]);
}

function fields(features) {
  if (!features) return null;
  const told = [
    ...(features.reason ? [features.reason] : []),
    ...(features.features || []).slice(0, 5).map((one) => one.told),
    ...(features.lifts || []).slice(0, SHOWN).map((one) => one.told),
  ];
  return lines(told.map((line) => own(line)));
}

function copies(card, context) {
  if (!card?.n_duplicates) return null;
  return h(
    "div",
    {},
    h("p", { class: "hint" }, `${rowsOf(card.n_duplicates)} of ${count(card.size)} could go`),
    lines(
      (card.copies || [])
        .slice(0, SHOWN)
        .map((set) => rowLink(set.kept.key, set.kept.text, context)),
    ),
  );
}

function odd(card, context) {
  if (!card?.odd?.length) return null;
  return lines(
    card.odd
      .slice(0, SHOWN)
      .map((row) => [rowLink(row.key, row.text, context), h("small", {}, own(row.reason))]),
  );
}

function lineage(cluster) {
  const events = (cluster.lineage || []).slice(-6).reverse();
  return lines(events.map((event) => own(eventTold(event))));
}

function eventTold(event) {
  const parts = (event.parts || []).map((part) => `${part.id} (${rowsOf(part.rows)})`).join(", ");
  const rows = event.after === undefined ? "" : `, ${rowsOf(event.after)}`;
  const run = event.run ? ` · run ${event.run}` : "";
  return `${KINDS[event.kind] || event.kind}${parts ? ` ${parts}` : ""}${rows}${run}`;
}
