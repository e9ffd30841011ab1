/* The map beside the rows, linked with them.

   const map = new MapPanel(element, {color, colors, title, pick(key), choose(id), text(key)})
   map.show(data)          data: answer of GET /api/map
   map.light(keys | null)  these rows stand out;  map.only(ids | null)  these clusters do
   map.point(key | null)   one row has a ring
   Promise: names do not cover each other, more of them appear as one zooms in; what the map tells
   is also in the lists, so it is kept from the tab order but for its buttons. */

import { fill, h, own } from "./app-dom.js";
import { Plot } from "./app-map-draw.js";
import { Names } from "./app-map-names.js";

export class MapPanel {
  constructor(element, options) {
    this.element = element;
    this.options = options;
    this.plot = null;
    this.waits = false;
    this.way = [0, 0];
    this.wanted = { lit: null, single: null, point: null };
    new ResizeObserver(() => this.fitted()).observe(element);
    window.vdbclusterTheme?.follow(() => this.redraw());
  }

  tell(...lines) {
    this.plot = null;
    fill(this.element, h("div", { class: "map-told" }, lines));
  }

  show(data) {
    if (!data.keys.length) return this.tell(h("p", {}, "No row has a place on the map yet."));
    const canvas = h("canvas", { "aria-hidden": "true" });
    this.names = h("div", { class: "map-names", "aria-hidden": "true" });
    this.tip = h("div", { class: "map-tip", hidden: true });
    const act = (name, label, go) =>
      h(
        "button",
        { type: "button", class: "plain", "aria-label": label, title: label, onclick: go },
        name,
      );
    fill(
      this.element,
      canvas,
      this.names,
      this.tip,
      h(
        "div",
        { class: "map-acts" },
        act("+", "Zoom in", () => this.change(() => this.plot.zoom(1.6))),
        act("−", "Zoom out", () => this.change(() => this.plot.zoom(1 / 1.6))),
        act("⤢", "Whole map", () => this.change(() => this.plot.reset())),
      ),
    );
    this.places = new Map(data.keys.map((key, i) => [key, i]));
    this.plot = new Plot(canvas, data, this.options.color);
    this.labels = new Names(this.names, data, this.plot.known, this.options);
    this.listen(canvas);
    this.light(this.wanted.lit);
    this.only(this.wanted.single);
    this.point(this.wanted.point);
    this.fitted();
    return undefined;
  }

  light(keys) {
    this.wanted.lit = keys;
    if (!this.plot) return;
    const found = keys && keys.map((key) => this.places.get(key)).filter((i) => i !== undefined);
    this.plot.lit = found?.length ? new Set(found) : null;
    this.redraw();
  }

  only(ids) {
    this.wanted.single = ids;
    if (!this.plot) return;
    this.plot.single = ids?.length ? new Set(ids) : null;
    this.redraw();
  }

  point(key) {
    this.wanted.point = key;
    if (!this.plot) return;
    const place = key === null ? undefined : this.places.get(key);
    this.plot.ring = place !== undefined && this.plot.has(place) ? place : -1;
    this.element.dataset.point = this.plot.ring < 0 ? "" : key;
    this.redraw();
  }

  change(act) {
    act();
    this.redraw();
  }

  fitted() {
    if (!this.plot || !this.element.clientWidth) return;
    this.plot.resize();
    this.redraw();
  }

  redraw() {
    if (!this.plot || this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      if (!this.plot?.width) return;
      this.plot.draw();
      this.shifted();
      this.labels.place(this.plot);
    });
  }

  listen(canvas) {
    const down = new Map();
    let moved = 0;
    const local = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.change(() => this.plot.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...local(event)));
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, local(event));
      moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = local(event);
      if (!down.has(event.pointerId)) return this.hover(this.plot.at(...now), now);
      const before = down.get(event.pointerId);
      const far = [...down].find(([id]) => id !== event.pointerId)?.[1];
      down.set(event.pointerId, now);
      moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      if (moved < 4) return undefined;
      this.hover(-1);
      if (far) return this.change(() => this.pinch(before, now, far));
      return this.slide(now[0] - before[0], now[1] - before[1]);
    });
    canvas.addEventListener("pointerup", (event) => {
      down.delete(event.pointerId);
      this.slid();
      const place = moved < 4 ? this.plot.at(...local(event)) : -1;
      if (place >= 0) this.options.pick(this.plot.points.keys[place]);
    });
    canvas.addEventListener("pointercancel", (event) => {
      down.delete(event.pointerId);
      this.slid();
    });
    canvas.addEventListener("pointerleave", () => this.hover(-1));
  }

  /* Where drawing takes its time, the picture is moved and drawn when it has come to rest. */
  slide(dx, dy) {
    this.plot.move(dx, dy);
    if (!this.plot.many) return this.redraw();
    this.way = [this.way[0] + dx, this.way[1] + dy];
    return this.shifted();
  }

  slid() {
    if (!this.way[0] && !this.way[1]) return;
    this.way = [0, 0];
    this.redraw();
  }

  shifted() {
    for (const layer of [this.plot.canvas, this.names])
      layer.style.setProperty("translate", `${this.way[0]}px ${this.way[1]}px`);
  }

  pinch(before, now, far) {
    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    this.plot.zoom(apart(now, far) / apart(before, far), far[0], far[1]);
  }

  async hover(place, at) {
    if (place === this.over) return;
    this.over = place;
    this.plot.canvas.classList.toggle("hand", place >= 0);
    if (place < 0) {
      this.tip.hidden = true;
      return;
    }
    const { keys, labels } = this.plot.points;
    const title = this.options.title(labels[place]);
    const text = h("p", { dir: "auto" }, "…");
    fill(
      this.tip,
      h(
        "b",
        { color: this.options.colors(labels[place]) },
        h("i", { class: "dot" }),
        own(labels[place] < 0 ? "noise" : (title ?? "hidden")),
      ),
      text,
    );
    this.tip.hidden = false;
    this.tip.style.setProperty(
      "left",
      `${Math.min(Math.max(at[0] - 120, 6), this.plot.width - 246)}px`,
    );
    const below = at[1] < this.plot.height / 2;
    this.tip.style.setProperty("top", below ? `${at[1] + 16}px` : "auto");
    this.tip.style.setProperty("bottom", below ? "auto" : `${this.plot.height - at[1] + 16}px`);
    const words = await this.options.text(keys[place]);
    if (this.over === place) text.textContent = words;
  }
}
