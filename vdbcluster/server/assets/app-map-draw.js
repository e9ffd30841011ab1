/* Points of a map on a canvas: where they are, how they look, which one is under the pointer.

   const plot = new Plot(canvas, {keys, x, y, labels}, color(id))
   plot.lit: Set of positions or null;  plot.single: Set of ids or null;  plot.ring: position or -1
   plot.draw();  plot.at(px, py) -> position or -1;  plot.zoom(factor, px, py);  plot.move(dx, dy)
   Sizes are CSS pixels. Promise: every row with a place is drawn; noise lies below, what is lit
   above; more than MANY points are squares. */

const MARGIN = 26;
const REACH = 9;
const CELL = 24;
const MANY = 20000;

export class Plot {
  constructor(canvas, points, color) {
    this.canvas = canvas;
    this.points = points;
    this.color = color;
    this.lit = null;
    this.single = null;
    this.ring = -1;
    this.scale = 1;
    this.dx = 0;
    this.dy = 0;
    this.known = [];
    for (let i = 0; i < points.keys.length; i += 1) if (this.has(i)) this.known.push(i);
    this.range = extent(points, this.known);
    this.cells = null;
  }

  has(i) {
    return Number.isFinite(this.points.x[i]) && Number.isFinite(this.points.y[i]);
  }

  get many() {
    return this.known.length > MANY;
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    this.ratio = ratio;
    this.cells = null;
  }

  reset() {
    this.scale = 1;
    this.dx = 0;
    this.dy = 0;
    this.cells = null;
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, 0.8), 60);
    const real = scale / this.scale;
    this.dx = px - (px - this.dx) * real;
    this.dy = py - (py - this.dy) * real;
    this.scale = scale;
    this.cells = null;
  }

  move(dx, dy) {
    this.dx += dx;
    this.dy += dy;
    this.cells = null;
  }

  /* Pixels of a unit of the layout, as long in both directions, and where its origin is. */
  get view() {
    const { x0, x1, y0, y1 } = this.range;
    const unit = Math.min(
      (this.width - 2 * MARGIN) / Math.max(x1 - x0, 1e-9),
      (this.height - 2 * MARGIN) / Math.max(y1 - y0, 1e-9),
    );
    const k = Math.max(unit, 1e-9) * this.scale;
    return {
      k,
      ox: (this.width / 2) * this.scale + this.dx - ((x0 + x1) / 2) * k,
      oy: (this.height / 2) * this.scale + this.dy + ((y0 + y1) / 2) * k,
    };
  }

  place(x, y, { k, ox, oy } = this.view) {
    return [x * k + ox, oy - y * k];
  }

  get radius() {
    const many = Math.sqrt(3000 / Math.max(this.known.length, 300));
    return Math.min(Math.max(2.1 * many, 0.9), 3.2) * Math.min(Math.sqrt(this.scale), 2.2);
  }

  draw() {
    const brush = this.canvas.getContext("2d");
    brush.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    brush.clearRect(0, 0, this.width, this.height);
    const { back, front } = this.groups();
    const far = this.dimmed ? this.faint : 0.8;
    const near = this.radius + (this.lit ? 1.6 : 0.4);
    if (this.many)
      this.pixels(brush, [
        [back, this.radius, far],
        [front, near, 1],
      ]);
    else {
      for (const [id, rows] of back) this.dots(brush, id, rows, this.radius, far);
      for (const [id, rows] of front) this.dots(brush, id, rows, near, 0.95);
    }
    if (this.ring >= 0) this.circle(brush, this.ring);
  }

  get faint() {
    return document.documentElement.dataset.theme === "dark" ? 0.24 : 0.15;
  }

  get dimmed() {
    return this.lit !== null || this.single !== null;
  }

  /* Positions by cluster: those behind, noise first, and those in front. */
  groups() {
    if (this.held?.lit === this.lit && this.held?.single === this.single) return this.held;
    const back = new Map([[-1, []]]);
    const front = new Map();
    for (const i of this.known) {
      const id = this.points.labels[i];
      const chosen = this.lit ? this.lit.has(i) : this.single ? this.single.has(id) : false;
      const into = chosen ? front : back;
      if (!into.has(id)) into.set(id, []);
      into.get(id).push(i);
    }
    this.held = { back, front, lit: this.lit, single: this.single };
    return this.held;
  }

  dots(brush, id, rows, radius, alpha) {
    const view = this.view;
    brush.fillStyle = this.color(id);
    brush.globalAlpha = id < 0 ? alpha * 0.7 : alpha;
    brush.beginPath();
    for (const i of rows) {
      const [px, py] = this.place(this.points.x[i], this.points.y[i], view);
      brush.moveTo(px + radius, py);
      brush.arc(px, py, radius, 0, 7);
    }
    brush.fill();
    brush.globalAlpha = 1;
  }

  /* Squares straight into the picture: quicker than paths where there are many. */
  pixels(brush, layers) {
    const { width, height } = this.canvas;
    const image = brush.createImageData(width, height);
    const data = new Uint32Array(image.data.buffer);
    const { k, ox, oy } = this.view;
    for (const [groups, radius, alpha] of layers) {
      const side = Math.max(Math.round(2 * radius * this.ratio), 1);
      for (const [id, rows] of groups) {
        const value = packed(this.color(id), id < 0 ? alpha * 0.7 : alpha);
        for (const i of rows) {
          const px = Math.round((this.points.x[i] * k + ox) * this.ratio - side / 2);
          const py = Math.round((oy - this.points.y[i] * k) * this.ratio - side / 2);
          if (px < 0 || py < 0 || px + side > width || py + side > height) continue;
          for (let row = py; row < py + side; row += 1)
            for (let at = row * width + px, end = at + side; at < end; at += 1) data[at] = value;
        }
      }
    }
    brush.putImageData(image, 0, 0);
  }

  circle(brush, i) {
    const [px, py] = this.place(this.points.x[i], this.points.y[i]);
    const ink = getComputedStyle(this.canvas).color;
    for (const [width, style] of [
      [6, this.color(this.points.labels[i])],
      [2.5, ink],
    ]) {
      brush.beginPath();
      brush.arc(px, py, this.radius + 5, 0, 7);
      brush.lineWidth = width;
      brush.strokeStyle = style;
      brush.stroke();
    }
  }

  at(px, py) {
    if (!this.cells) this.sort();
    let best = -1;
    let nearest = REACH * REACH;
    const [cx, cy] = [Math.floor(px / CELL), Math.floor(py / CELL)];
    for (let a = cx - 1; a <= cx + 1; a += 1)
      for (let b = cy - 1; b <= cy + 1; b += 1)
        for (const i of this.cells.get(`${a} ${b}`) || []) {
          const [x, y] = this.place(this.points.x[i], this.points.y[i]);
          const far = (x - px) ** 2 + (y - py) ** 2;
          if (far < nearest) [best, nearest] = [i, far];
        }
    return best;
  }

  sort() {
    this.cells = new Map();
    const view = this.view;
    for (const i of this.known) {
      const [px, py] = this.place(this.points.x[i], this.points.y[i], view);
      const name = `${Math.floor(px / CELL)} ${Math.floor(py / CELL)}`;
      if (!this.cells.has(name)) this.cells.set(name, []);
      this.cells.get(name).push(i);
    }
  }
}

/* "#rrggbb" as the bytes of a pixel, on machines that begin with the lowest: all of today's. */
function packed(color, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/* The range that holds all but a few strays, so that one far row does not shrink the rest. */
function extent(points, known) {
  const range = (values) => {
    const sorted = Float64Array.from(known, (i) => values[i]).sort();
    if (!sorted.length) return [0, 1];
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const pad = (at(0.998) - at(0.002)) * 0.02;
    return [at(0.002) - pad, at(0.998) + pad];
  };
  const [x0, x1] = range(points.x);
  const [y0, y1] = range(points.y);
  return { x0, x1, y0, y1 };
}
