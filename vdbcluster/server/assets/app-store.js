/* What is known of the collection: facts, clusters, their names and colours.

   await store.load();  store.collection, store.clusters (not hidden), store.noise
   store.title(id) -> name, null if unknown;  store.colors(id) -> ["#on light", "#on dark"]
   store.mapTitle(id), store.mapColors(id), store.mapColor(id): the same for the map, the last for
   the theme of now */

import { get } from "./app-api.js";

/* The palette of the maps, for clusters that come without a colour: by id. */
const LIGHT = [
  "#1f7dc6",
  "#e9a73f",
  "#912947",
  "#4ab8fd",
  "#b75d12",
  "#5a419b",
  "#e97876",
  "#12ae9a",
  "#906995",
  "#026072",
  "#8fd28a",
  "#567e52",
  "#919712",
  "#d294db",
  "#7c5301",
  "#838ceb",
];
const DARK = [
  "#3393e1",
  "#ffbe5f",
  "#ab3c59",
  "#87cdfe",
  "#d17027",
  "#6e54b5",
  "#ff908d",
  "#2ec6b0",
  "#a77dac",
  "#1e7588",
  "#a2ea9d",
  "#699464",
  "#a6ad29",
  "#eba8f5",
  "#93661a",
  "#99a3fd",
];
const GREY = ["#bcc1c9", "#4f5662"];

export class Store {
  constructor() {
    this.collection = null;
    this.clusters = [];
    this.listed = { clusters: [] };
    this.noise = null;
    this.run = null;
    this.known = new Map();
  }

  async load() {
    this.collection = await get("collection", "collection");
    const found = await get("all-clusters", "clusters", { hidden: true });
    this.clusters = found.clusters.filter((one) => !one.hidden && (one.state ?? "live") === "live");
    this.noise = found.noise ?? null;
    this.run = found.run_id ?? null;
    this.known = new Map(found.clusters.map((cluster) => [cluster.id, cluster]));
  }

  know(cluster) {
    this.known.set(cluster.id, { ...this.known.get(cluster.id), ...cluster });
  }

  title(id) {
    return this.known.get(id)?.title ?? null;
  }

  colors(id) {
    if (id < 0) return GREY;
    const own = this.known.get(id)?.color;
    if (Array.isArray(own) && own.every((one) => /^#[0-9a-f]{6}$/i.test(one))) return own;
    return [LIGHT[id % LIGHT.length], DARK[id % DARK.length]];
  }

  /* Hidden ones have no name on the map, and are grey as noise. */
  mapTitle(id) {
    return this.known.get(id)?.hidden ? null : this.title(id);
  }

  mapColors(id) {
    return this.known.get(id)?.hidden ? GREY : this.colors(id);
  }

  mapColor(id) {
    return this.mapColors(id)[document.documentElement.dataset.theme === "dark" ? 1 : 0];
  }
}
