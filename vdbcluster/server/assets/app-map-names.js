/* Names of clusters on the map.

   const names = new Names(layer, data, known, {title(id), colors(id), choose(id)})
   names.place(plot)      after every change of what the plot shows
   Promise: the largest first, none covers another; an element that stays is the same one, so that
   it can be clicked while the map is drawn anew. */

import { h, own } from "./app-dom.js";

const MOST = 60;
const WIDE = 176;
const LINE = 25;

export class Names {
  constructor(layer, data, known, options) {
    this.layer = layer;
    this.options = options;
    this.middles = middles(data, known);
    this.elements = new Map();
  }

  place(plot) {
    const kept = new Map();
    for (const { id, x, y } of this.wanted(plot)) {
      if (kept.size >= MOST) break;
      const title = this.options.title(id);
      const at = title === null ? null : room(plot, plot.place(x, y), clip(title), kept);
      if (at) kept.set(id, at);
    }
    for (const [id, element] of this.elements) {
      if (kept.has(id)) continue;
      element.remove();
      this.elements.delete(id);
    }
    for (const [id, at] of kept) this.put(id, at);
  }

  /* Of the clusters that stand out, where some do. */
  wanted(plot) {
    if (plot.lit) {
      const there = new Set([...plot.lit].map((i) => plot.points.labels[i]));
      return this.middles.filter(({ id }) => there.has(id));
    }
    return this.middles.filter(({ id }) => plot.single === null || plot.single.has(id));
  }

  put(id, { x, y, label }) {
    const element = this.elements.get(id) ?? this.made(id);
    if (element.textContent !== label) element.firstChild.textContent = label;
    element.style.setProperty("left", `${x}px`);
    element.style.setProperty("top", `${y}px`);
  }

  made(id) {
    const element = h(
      "button",
      {
        type: "button",
        class: "map-name",
        tabindex: "-1",
        "data-cluster": id,
        color: this.options.colors(id),
        onclick: () => this.options.choose(id),
      },
      own(""),
    );
    this.elements.set(id, element);
    this.layer.append(element);
    return element;
  }
}

/* Where a name has room beside those that are placed, or null. */
function room({ width, height }, [cx, cy], label, placed) {
  if (cx <= 0 || cx >= width || cy <= 0 || cy >= height) return null;
  const half = Math.min(widthOf(label) / 2 + 10, width / 2);
  const x = Math.min(Math.max(cx, half + 4), width - half - 4);
  const y = Math.min(Math.max(cy, 14), height - 14);
  const covers = (other) =>
    Math.abs(other.x - x) <= other.half + half && Math.abs(other.y - y) <= LINE;
  return [...placed.values()].some(covers) ? null : { x, y, half, label };
}

/* About as wide as it will be: letters of Chinese and Japanese are twice as wide. */
const widthOf = (label) => Array.from(label).reduce((sum, c) => sum + (c > "\u2e80" ? 13 : 7.2), 0);

const clip = (title) => {
  let left = WIDE;
  const letters = Array.from(title);
  const end = letters.findIndex((c) => (left -= widthOf(c)) < 0);
  return end < 0 ? title : `${letters.slice(0, end).join("").trimEnd()}…`;
};

/* The median of each cluster, the largest first. */
function middles(data, known) {
  const groups = new Map();
  for (const i of known) {
    const id = data.labels[i];
    if (id < 0) continue;
    if (!groups.has(id)) groups.set(id, []);
    groups.get(id).push(i);
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  return [...groups]
    .map(([id, rows]) => ({
      id,
      size: rows.length,
      x: median(rows.map((i) => data.x[i])),
      y: median(rows.map((i) => data.y[i])),
    }))
    .sort((a, b) => b.size - a.size);
}
