/* What is shown, as the address of the page.

   read(location.search) -> State;  address(state) -> "?q=..."; read(address(s)) equals s.
   view: overview | rows | search | cluster | similar | noise | duplicates; the address leaves out
   what goes without saying. Ids of clusters are integers, keys are strings, always.
   clusters: ids that results are filtered by; id: the cluster that is browsed; like: the key whose
   neighbours are shown; row: the key of the row that is open; n: rows shown. */

export const PAGE = 20;
const MOST = 200;
const VIEWS = ["rows", "cluster", "similar", "noise", "duplicates"];
export const SORTS = ["size", "name", "stability", "id", "interest"];

export const START = Object.freeze({
  view: "overview",
  q: "",
  clusters: [],
  filter: "",
  core: false,
  id: null,
  like: null,
  row: null,
  n: PAGE,
  words: "",
  sort: "size",
  hidden: false,
});

export function read(search) {
  const given = new URLSearchParams(search);
  const state = {
    ...START,
    q: given.get("q") ?? "",
    clusters: [
      ...new Set(
        given
          .getAll("cluster")
          .map(whole)
          .filter((id) => id !== null),
      ),
    ],
    filter: given.get("filter") ?? "",
    core: given.get("core") === "1",
    id: whole(given.get("id")),
    like: given.get("like"),
    row: given.get("row"),
    n: Math.min(Math.max(whole(given.get("n")) ?? PAGE, PAGE), MOST),
    words: given.get("words") ?? "",
    sort: SORTS.includes(given.get("sort")) ? given.get("sort") : START.sort,
    hidden: given.get("hidden") === "1",
  };
  return { ...state, view: viewOf(given.get("view"), state) };
}

function viewOf(named, state) {
  if (named === "cluster" && state.id === null) return START.view;
  if (named === "cluster" && state.id < 0) return "noise";
  if (named === "similar" && state.like === null) return START.view;
  if (VIEWS.includes(named) && !(named === "rows" && searching(state))) return named;
  return searching(state) ? "search" : START.view;
}

export const searching = (state) =>
  Boolean(state.q.trim() || state.clusters.length || state.filter || state.core);

export function address(state) {
  const parts = new URLSearchParams();
  const put = (name, value, told) => told && parts.append(name, value);
  put("view", state.view, VIEWS.includes(state.view));
  put("id", state.id, state.view === "cluster");
  put("like", state.like, state.view === "similar");
  for (const name of ["q", "filter", "words"]) put(name, state[name], state[name]);
  for (const id of state.clusters) put("cluster", id, true);
  put("row", state.row, state.row !== null);
  for (const name of ["core", "hidden"]) put(name, "1", state[name]);
  put("n", Math.min(state.n, MOST), state.n > PAGE);
  put("sort", state.sort, state.sort !== START.sort);
  return `?${parts}`;
}

function whole(text) {
  return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : null;
}

/* Which part of a state the middle of the page depends on. */
export function middle(state) {
  const { view, q, clusters, filter, core, id, like } = state;
  const filters = ["rows", "search", "similar"].includes(view) ? [clusters, filter, core] : [];
  return JSON.stringify([view, view === "search" ? q : "", filters, id, like]);
}
