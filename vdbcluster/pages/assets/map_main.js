// vdbclusterMap(element, data, options) -> handle
//
// element   any element with a height; gets the class "vmap", and is filled.
// data      { axes: [x, y] or [x, y, z], clusters: [...], and either groups or labels }
//   axes    columns of numbers, or base64 of uint16 with `ranges`: [[low, high], ...] and `n`
//   labels  cluster id of each row, -1 is noise; or groups: base64 of int32, places in `clusters`
//   clusters  { id, title, size } and by choice description, keywords, slot (of the palette),
//           at (where its name stands), pinned, hidden
//   keys, texts, images   by choice: a column of texts or null, or base64 of gzip of its JSON
//   title, facts, inner, shown, probability, palette, told: by choice
// options   { panel: true, head: true, wheel: "always" or "ctrl", noise: true, dark: undefined,
//             describe: async (row, key) => ({ text, image }) for rows without a text }
// handle    an EventTarget
//   event "select"  detail { cluster }: the id that was singled out (-1 noise), null for none
//   event "pick"    detail { row, key }: a point that was clicked, or chosen in the panel
//   select(id or null), pick(row), search(text), highlight(rows or null), noise(on), zoom(by),
//   fit(), resize(), destroy(); ready: a promise, once the points are drawn

function vdbclusterMap(element, data, options = {}) {
  const asked = { panel: true, head: true, wheel: "always", noise: true, ...options };
  const columns = columnsOf(data);
  const state = { singled: null, found: null, bright: null, picked: -1, noise: asked.noise };
  const handle = new EventTarget();
  const look = makeLook(element, columns, asked);
  element.classList.add("vmap");
  element.classList.toggle("vmap-alone", !asked.panel);
  element.replaceChildren();

  const stage = div("vmap-stage");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  const about = `Map of ${count(columns.n)} rows in ${count(columns.clusters.length)} clusters. `;
  const keys = "Arrow keys move, plus and minus zoom, 0 shows all, Escape shows all clusters.";
  stage.setAttribute("aria-label", about + keys);
  const plot = div("vmap-plot");
  const names = div("vmap-names");
  names.setAttribute("aria-hidden", "true"); // all of them are in the list of clusters
  stage.append(plot, names);
  element.append(stage);

  const content = makeContent(data, columns, asked);
  const scene = makeScene(plot, columns, look);
  const hover = makeHover(stage, columns, content);
  const labels = makeLabels(names, columns, scene, state, (id) => act.select(id === state.singled ? null : id));
  const act = { select, pick, noise, search };
  const head = asked.head ? makeHead(element, stage, data, columns, act) : null;
  const panel = asked.panel ? makePanel(element, data, columns, state, content, act) : null;
  const tools = makeTools(stage, scene);
  const accepts = (row) =>
    (state.noise || columns.groups[row] >= 0) && (!state.bright || state.bright(row));

  scene.onMove(() => labels.place());
  const told = (name, detail) => handle.dispatchEvent(new CustomEvent(name, { detail }));

  function brightness() {
    const tests = [];
    if (state.singled !== null) {
      const place = state.singled < 0 ? -1 : columns.byId.get(state.singled)?.place;
      tests.push((row) => columns.groups[row] === place);
    }
    if (state.found) tests.push((row) => state.found.rows[row] === 1);
    state.bright = tests.length ? (row) => tests.every((test) => test(row)) : null;
  }

  function refresh() {
    brightness();
    panel?.update();
    const done = scene.paint(state);
    element.dataset.names = labels.place();
    return done;
  }

  function select(id) {
    if (id !== null && id !== -1 && !columns.byId.has(id)) return;
    if (id === state.singled) return;
    state.singled = id;
    state.picked = -1;
    if (id === -1) state.noise = true;
    hover.hide();
    refresh();
    const one = columns.byId.get(id);
    const what = id === null ? "All clusters." : `${one ? one.title : "Noise"} is singled out.`;
    head?.say(state.found ? null : what);
    told("select", { cluster: id });
  }

  async function pick(row) {
    state.picked = row;
    scene.paint(state);
    const [keysOf] = await content.all();
    told("pick", { row, key: keysOf?.[row] ?? null });
  }

  function noise(on) {
    state.noise = on;
    refresh();
  }

  async function search(text) {
    const query = folded(text.trim());
    state.found = query ? await found(query, columns, content) : null;
    if (query && state.singled !== null) {
      state.singled = null;
      told("select", { cluster: null });
    }
    refresh();
    head?.say(state.found ? state.found.told : "");
  }

  function highlight(rows) {
    state.found = rows ? foundRows(rows, columns) : null;
    refresh();
  }

  function restore() {
    if (state.found) head?.clear();
    state.found = null;
    const was = state.singled;
    state.singled = null;
    state.picked = -1;
    hover.hide();
    refresh();
    if (was !== null) told("select", { cluster: null });
  }

  const input = makeInput(stage, columns, scene, hover, { accepts, select, pick, restore, state, asked });
  document.addEventListener("keydown", onEscape);
  function onEscape(event) {
    const ours = event.target === document.body || element.contains(event.target);
    if (event.key !== "Escape" || !ours) return;
    event.preventDefault();
    restore();
  }

  const observer = new ResizeObserver(() => {
    scene.resized();
    labels.place();
  });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const print = window.matchMedia("print");
  const themed = () => {
    look.apply();
    scene.paint(state);
  };
  dark.addEventListener("change", themed);
  print.addEventListener("change", themed);
  document.fonts?.ready.then(() => {
    labels.forget();
    labels.place();
  });

  look.apply();
  const ready = refresh();
  observer.observe(stage);
  ready.then(() => {
    element.dataset.names = labels.place();
    element.dataset.ready = "true";
  });

  function destroy() {
    observer.disconnect();
    dark.removeEventListener("change", themed);
    print.removeEventListener("change", themed);
    document.removeEventListener("keydown", onEscape);
    input.stop();
    Plotly.purge(plot);
    element.replaceChildren();
  }

  return Object.assign(handle, {
    select, pick, search, highlight, noise, restore, destroy, ready,
    zoom: (by) => scene.zoomed(by),
    fit: () => scene.fit(),
    resize: () => scene.resized(),
    view: () => ({ zoom: scene.zoom(), project: scene.project, columns, state }),
    parts: { stage, tools },
  });
}

/** Colours of the page: dark where the reader wants that, light on paper. */
function makeLook(element, columns, asked) {
  const dark = () => {
    if (window.matchMedia("print").matches) return false;
    return asked.dark ?? window.matchMedia("(prefers-color-scheme: dark)").matches;
  };
  function apply() {
    const on = dark();
    element.dataset.theme = on ? "dark" : "light";
    const colors = on ? columns.palette.dark : columns.palette.light;
    colors.forEach((color, slot) => element.style.setProperty(`--c${slot}`, color));
    element.style.setProperty("--grey", columns.palette.grey[on ? 1 : 0]);
  }
  return {
    dark,
    apply,
    ink: () => (dark() ? "#e8eaed" : "#1c2330"),
    edge: () => (dark() ? "#343b47" : "#d5d9df"),
  };
}

function makeHead(root, stage, data, columns, act) {
  const head = document.createElement("header");
  head.className = "vmap-head";
  const title = document.createElement("h1");
  title.dir = "auto";
  title.textContent = data.title ?? "";
  const facts = div("vmap-facts");
  for (const [name, text] of Object.entries(data.facts ?? {})) {
    const fact = span("", "");
    fact.append(span("vmap-fact-name", `${name} `), span("", text));
    facts.append(fact);
  }
  const box = document.createElement("input");
  box.type = "search";
  box.dir = "auto";
  box.placeholder = "Search texts, names, keys";
  box.setAttribute("aria-label", "Search texts, names and keys");
  const status = div("vmap-status");
  status.setAttribute("role", "status");
  const notes = (data.told ?? []).map((line) => textDiv("vmap-quiet vmap-told", line));
  head.append(title, facts, box, status, ...notes);
  root.prepend(head);
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => act.search(box.value), 150);
  });
  return {
    say: (text) => text !== null && (status.textContent = text),
    clear: () => {
      box.value = "";
      status.textContent = "";
    },
  };
}

function makeTools(stage, scene) {
  const tools = div("vmap-tools");
  tools.dataset.over = "";
  const steps = [["+", "Zoom in", () => scene.zoomed(1.6)], ["−", "Zoom out", () => scene.zoomed(1 / 1.6)], ["⌂", "Show all", () => scene.fit()]];
  for (const [sign, label, run] of steps) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", run);
    tools.append(button);
  }
  stage.append(tools);
  return tools;
}

const folded = (text) => text.normalize("NFKC").toLowerCase();

async function found(query, columns, content) {
  const [keys, texts] = await content.all();
  content.folded ??= texts?.map((text) => (text ? folded(text) : ""));
  const rows = new Uint8Array(columns.n);
  let direct = 0;
  for (let row = 0; row < columns.n; row++) {
    if (content.folded?.[row].includes(query) || (keys && folded(keys[row]).includes(query))) {
      rows[row] = 1;
      direct++;
    }
  }
  const named = columns.clusters.filter((one) => folded([one.title, ...one.keywords].join("\n")).includes(query));
  for (const one of named) for (const row of one.rows) rows[row] = 1;
  const what = direct === 1 ? "row" : "rows";
  const also = named.length ? `, ${count(named.length)} cluster${named.length === 1 ? "" : "s"} by name` : "";
  const part = columns.thinned && texts ? " (of the texts in this file)" : "";
  const told = direct || named.length ? `${count(direct)} ${what}${also}${part}` : `nothing found${part}`;
  return { rows, groups: grouped(rows, columns), told };
}

function foundRows(some, columns) {
  const rows = new Uint8Array(columns.n);
  for (const row of some) rows[row] = 1;
  return { rows, groups: grouped(rows, columns), told: `${count(some.length)} rows` };
}

/** Hits by place of their cluster. */
function grouped(rows, columns) {
  const groups = new Map();
  rows.forEach((hit, row) => {
    if (hit) groups.set(columns.groups[row], (groups.get(columns.groups[row]) ?? 0) + 1);
  });
  return groups;
}
