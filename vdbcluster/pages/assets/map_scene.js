// Points, drawn by plotly.js with WebGL: one trace for each colour, one for what is grey.
// The view of a flat map is kept here, in its own units, so that names and points move together.

const PAD = 0.06;
const FIELD = Math.PI / 4; // the field of view of plotly's 3-D scenes

function makeScene(place, columns, look) {
  const { axes, flat } = columns;
  const home = homeOf(columns);
  let rowsOf = []; // by trace, to find the row of a point that plotly tells of
  let view = null;
  let camera = { eye: { x: 1.1, y: 1.1, z: 0.8 }, center: { x: 0, y: 0, z: 0 }, up: { x: 0, y: 0, z: 1 } };
  let queued = false;
  let sized = 0;
  let drawn = false;
  let size_ = "";
  let busy = Promise.resolve();
  const onMove = [];

  /** One call of plotly at a time: it does not bear being called while it draws. */
  function after(call) {
    busy = busy.then(call, call);
    return busy;
  }

  const box = () => ({ width: place.clientWidth || 1, height: place.clientHeight || 1 });

  /** The whole map, as wide or as high as the place allows. */
  function fitted() {
    const { width, height } = box();
    const scale = Math.max(home.width / width, home.height / height);
    return spanning(home.x, home.y, scale);
  }

  function spanning(x, y, scale) {
    const { width, height } = box();
    return {
      x: [x - (scale * width) / 2, x + (scale * width) / 2],
      y: [y - (scale * height) / 2, y + (scale * height) / 2],
    };
  }

  const scaleOf = (some) => (some.x[1] - some.x[0]) / box().width;
  const zoom = () => (flat && view ? scaleOf(fitted()) / scaleOf(view) : 1);

  function pointSize() {
    const { width, height } = box();
    const room = Math.sqrt((width * height) / 960000);
    const size = 20 * Math.max(columns.n, 200) ** -0.155 * Math.max(0.7, Math.min(1.25, room));
    return Math.min(13, size * zoom() ** 0.3) * (flat ? 1 : 0.5);
  }

  function marker(color, opacity, size) {
    return { color, opacity, size, line: { width: 0 } };
  }

  function trace(rows, color, opacity, size) {
    rowsOf.push(rows);
    const taken = axes.map((axis) => Float32Array.from(rows, (row) => axis[row]));
    const common = { mode: "markers", x: taken[0], y: taken[1], marker: marker(color, opacity, size) };
    return flat
      ? { ...common, type: "scattergl", hoverinfo: "skip" }
      : { ...common, type: "scatter3d", z: taken[2], hoverinfo: "none" };
  }

  /** `state.bright(row)`: null for all; the others are faint. `state.noise`: whether it is seen. */
  function paint(state) {
    const dark = look.dark();
    const colors = dark ? columns.palette.dark : columns.palette.light;
    const grey = columns.palette.grey[dark ? 1 : 0];
    const faint = [];
    const dull = [];
    const slots = colors.map(() => []);
    for (let row = 0; row < columns.n; row++) {
      const group = columns.groups[row];
      if (group < 0 && !state.noise) continue;
      const slot = group < 0 ? -1 : columns.clusters[group].slot;
      if (state.bright && !state.bright(row)) faint.push(row);
      else (slot < 0 ? dull : slots[slot]).push(row);
    }
    const size = (sized = pointSize());
    const solid = columns.n > 50000 ? 0.7 : 0.8;
    rowsOf = [];
    const traces = [trace(faint, grey, dark ? 0.35 : 0.3, size * 0.85)];
    traces.push(trace(dull, state.bright ? look.ink() : grey, state.bright ? 0.6 : 0.55, size));
    slots.forEach((rows, slot) => rows.length && traces.push(trace(rows, colors[slot], solid, size)));
    const picked = state.picked >= 0 ? [state.picked] : [];
    traces.push(ring(picked, size));
    return show(traces);
  }

  function ring(rows, size) {
    const made = trace(rows, look.ink(), 1, size + 9);
    made.marker.symbol = "circle-open";
    made.marker.line = { width: 2, color: look.ink() };
    return made;
  }

  function show(traces) {
    const config = {
      displayModeBar: false,
      doubleClick: false,
      showTips: false,
      scrollZoom: !flat,
      plotGlPixelRatio: Math.max(window.devicePixelRatio || 1, columns.n > 50000 ? 1 : 2),
    };
    const first = !drawn;
    drawn = true;
    view ??= flat ? fitted() : null;
    size_ = `${box().width} ${box().height}`;
    moved();
    return after(async () => {
      await (first ? Plotly.newPlot : Plotly.react)(place, traces, layout(), config);
      if (first && !flat) follow();
    });
  }

  function layout() {
    const clear = "rgba(0,0,0,0)";
    const common = {
      width: box().width,
      height: box().height,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      showlegend: false,
      paper_bgcolor: clear,
      plot_bgcolor: clear,
      uirevision: "kept",
    };
    if (!flat) return { ...common, hovermode: "closest", scene: solidScene() };
    const axis = (range) => ({ visible: false, fixedrange: true, range });
    return { ...common, hovermode: false, dragmode: false, xaxis: axis(view.x), yaxis: axis(view.y) };
  }

  function solidScene() {
    const edge = look.edge();
    const axis = (span) => ({
      range: [span[0] - 0.02 * home.width, span[0] + 1.02 * home.width],
      showgrid: false,
      showticklabels: false,
      zeroline: false,
      showspikes: false,
      showbackground: false,
      showline: true,
      linecolor: edge,
      title: { text: "" },
      ticks: "",
    });
    const [xaxis, yaxis, zaxis] = columns.spans.map(axis);
    return { xaxis, yaxis, zaxis, camera, aspectmode: "cube", dragmode: "turntable" };
  }

  function follow() {
    const see = (event) => {
      camera = event["scene.camera"] ?? place.layout?.scene?.camera ?? camera;
      moved();
    };
    place.on("plotly_relayouting", see);
    place.on("plotly_relayout", see);
  }

  function moved() {
    onMove.forEach((told) => told());
  }

  /** Show another part of a flat map; drawn with the next frame, however often it is called. */
  function look2d(next) {
    view = next;
    moved();
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => after(redrawn));
  }

  async function redrawn() {
    const ranges = { "xaxis.range": view.x, "yaxis.range": view.y };
    const size = pointSize();
    if (Math.abs(size / sized - 1) > 0.12) {
      sized = size;
      const sizes = rowsOf.map((_, i) => (i === rowsOf.length - 1 ? size + 9 : size));
      await Plotly.update(place, { "marker.size": sizes }, ranges);
    } else await Plotly.relayout(place, ranges);
    queued = false;
    if (view.x !== ranges["xaxis.range"] || view.y !== ranges["yaxis.range"]) look2d(view);
  }

  const middle = (some) => [(some.x[0] + some.x[1]) / 2, (some.y[0] + some.y[1]) / 2];

  /** `by` above 1 zooms in; (px, py) stays where it is. */
  function zoomed(by, px = box().width / 2, py = box().height / 2) {
    if (!flat) return dolly(1 / by);
    const whole = scaleOf(fitted());
    const scale = Math.max(whole / 400, Math.min(whole * 1.6, scaleOf(view) / by));
    const [x, y] = unproject(px, py);
    const { width, height } = box();
    const cx = x + (width / 2 - px) * scale;
    const cy = y - (height / 2 - py) * scale;
    return look2d(spanning(cx, cy, scale));
  }

  function dolly(by) {
    const { x, y, z } = camera.eye;
    const eye = { x: x * by, y: y * by, z: z * by };
    camera = { ...camera, eye };
    return after(() => Plotly.relayout(place, { "scene.camera": camera }));
  }

  function turn(angle, lift) {
    const { x, y, z } = camera.eye;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const eye = { x: x * cos - y * sin, y: x * sin + y * cos, z: z + lift };
    camera = { ...camera, eye };
    return after(() => Plotly.relayout(place, { "scene.camera": camera }));
  }

  function panned(dx, dy) {
    if (!flat) return turn(dx / 300, dy / 300);
    const scale = scaleOf(view);
    const [x, y] = middle(view);
    return look2d(spanning(x - dx * scale, y + dy * scale, scale));
  }

  function fit(rows = null) {
    if (!flat) {
      camera = { ...camera, eye: { x: 1.1, y: 1.1, z: 0.8 } };
      return after(() => Plotly.relayout(place, { "scene.camera": camera }));
    }
    if (!rows?.length) return look2d(fitted());
    const spans = axes.map((axis) => spread(rows.map((row) => axis[row])));
    const { width, height } = box();
    const needed = Math.max((spans[0][1] - spans[0][0]) / width, (spans[1][1] - spans[1][0]) / height);
    const scale = Math.min(scaleOf(fitted()), Math.max(needed * 1.5, scaleOf(fitted()) / 40));
    return look2d(spanning((spans[0][0] + spans[0][1]) / 2, (spans[1][0] + spans[1][1]) / 2, scale));
  }

  /** Pixels of a place on the map; null behind the camera. */
  function project(at) {
    const { width, height } = box();
    if (!flat) return projected(at, camera, columns.spans, home.width, width, height);
    if (!view) return null;
    return [
      ((at[0] - view.x[0]) / (view.x[1] - view.x[0])) * width,
      ((view.y[1] - at[1]) / (view.y[1] - view.y[0])) * height,
    ];
  }

  function unproject(px, py) {
    const scale = scaleOf(view);
    return [view.x[0] + px * scale, view.y[1] - py * scale];
  }

  function resized() {
    const now = `${box().width} ${box().height}`;
    if (!drawn || now === size_) return;
    size_ = now;
    if (flat && view) {
      const [x, y] = middle(view);
      const zoomedBy = zoom.last ?? 1;
      view = zoomedBy <= 1.001 ? fitted() : spanning(x, y, scaleOf(fitted()) / zoomedBy);
    }
    const ranges = flat ? { "xaxis.range": view.x, "yaxis.range": view.y } : {};
    after(() => Plotly.relayout(place, { ...box(), ...ranges }));
    moved();
  }
  onMove.push(() => (zoom.last = zoom()));

  return {
    paint,
    fit,
    zoomed,
    panned,
    project,
    unproject,
    resized,
    zoom,
    flat,
    scale: () => scaleOf(view),
    rowOf: (curve, point) => rowsOf[curve]?.[point] ?? -1,
    onMove: (told) => onMove.push(told),
  };
}

function homeOf(columns) {
  const spans = columns.flat ? columns.axes.map(usualSpan) : columns.spans;
  const wide = spans.map(([low, high]) => high - low || 1);
  if (!columns.flat) return { width: Math.max(...wide) };
  const pad = PAD * Math.max(...wide);
  return {
    x: (spans[0][0] + spans[0][1]) / 2,
    y: (spans[1][0] + spans[1][1]) / 2,
    width: wide[0] + 2 * pad,
    height: wide[1] + 2 * pad,
  };
}

/** As a camera of plotly sees it: the scene is a cube of side 1 about the origin. */
function projected(at, camera, spans, width, w, h) {
  const point = at.map((value, d) => (value - (spans[d][0] - 0.02 * width)) / (1.04 * width) - 0.5);
  const eye = vector(camera.eye);
  const ahead = unit(minus(vector(camera.center), eye));
  const right = unit(cross(ahead, vector(camera.up)));
  const above = cross(right, ahead);
  const seen = minus(point, eye);
  const depth = dot(seen, ahead);
  if (depth <= 0.01) return null;
  const focal = 1 / Math.tan(FIELD / 2);
  const x = (focal * dot(seen, right)) / depth / (w / h);
  const y = (focal * dot(seen, above)) / depth;
  return [((x + 1) / 2) * w, ((1 - y) / 2) * h];
}

const vector = ({ x, y, z }) => [x, y, z];
const minus = (a, b) => a.map((value, i) => value - b[i]);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const unit = (a) => a.map((value) => value / (Math.hypot(...a) || 1));
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
