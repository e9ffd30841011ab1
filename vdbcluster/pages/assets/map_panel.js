// Beside the map: search, the clusters by size, and what is in the one that is singled out.

const SAMPLES = 8;
const count = (n) => n.toLocaleString("en");

function makePanel(root, data, columns, state, content, act) {
  const side = document.createElement("aside");
  side.className = "vmap-side";
  side.setAttribute("aria-label", "Clusters");
  const list = document.createElement("ul");
  list.className = "vmap-legend";
  list.setAttribute("aria-label", "Clusters, the largest first");
  const details = div("vmap-details");
  details.hidden = true;
  const heading = div("vmap-heading");
  const foot = div("vmap-foot");
  side.append(heading, list, details, foot);
  root.append(side);
  const visible = columns.clusters.filter((one) => !one.hidden);
  const largest = visible.reduce((most, one) => Math.max(most, one.size), 1);
  const entries = [...visible].sort((a, b) => b.size - a.size || a.id - b.id).map(entryOf);
  list.append(...entries.map((entry) => entry.item));
  const noise = noiseSwitch();
  legendKeys();

  function entryOf(cluster) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.style.setProperty("--color", `var(--c${cluster.slot})`);
    button.style.setProperty("--share", `${Math.max(1, (100 * cluster.size) / largest)}%`);
    const title = span("vmap-entry", cluster.title);
    title.dir = "auto";
    const size = span("vmap-count", count(cluster.size));
    button.append(span("vmap-dot", ""), title, size);
    if (cluster.pinned) title.prepend(pin());
    const pinned = cluster.pinned ? ", pinned" : "";
    button.setAttribute("aria-label", `${cluster.title}, ${count(cluster.size)} rows${pinned}`);
    button.addEventListener("click", () => {
      for (const entry of entries) entry.button.tabIndex = entry.button === button ? 0 : -1;
      act.select(cluster.id);
    });
    item.append(button);
    return { cluster, item, button, size };
  }

  function pin() {
    const mark = span("vmap-pin", "★ ");
    mark.title = "pinned";
    return mark;
  }

  /** One stop for the tab key; arrows go from cluster to cluster. */
  function legendKeys() {
    if (entries.length) entries[0].button.tabIndex = 0;
    list.addEventListener("keydown", (event) => {
      const there = entries.filter((entry) => !entry.item.hidden);
      const at = there.findIndex((entry) => entry.button === document.activeElement);
      const last = there.length - 1;
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + 10, PageUp: at - 10 };
      if (!(event.key in to) || at < 0) return;
      event.preventDefault();
      const next = there[Math.max(0, Math.min(last, to[event.key]))];
      for (const entry of entries) entry.button.tabIndex = -1;
      next.button.tabIndex = 0;
      next.button.focus();
    });
  }

  function noiseSwitch() {
    const hidden = columns.clusters.length - visible.length;
    if (hidden) foot.append(textDiv("vmap-quiet", `${count(hidden)} hidden, in grey`));
    const label = document.createElement("label");
    label.className = "vmap-noise";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = state.noise;
    box.addEventListener("change", () => act.noise(box.checked));
    const rows = columns.noise.length;
    label.append(box, span("", "Noise"), span("vmap-count", count(rows)));
    label.hidden = !rows;
    foot.append(label);
    return box;
  }

  function update() {
    const one = state.singled === null ? null : columns.byId.get(state.singled);
    const opened = state.singled !== null;
    const inside = details.hidden === opened && side.contains(document.activeElement);
    list.hidden = opened;
    details.hidden = !opened;
    heading.hidden = opened;
    noise.checked = state.noise;
    list_();
    if (opened) detailed(one);
    if (inside) focusOn(opened);
  }

  /** What was pressed is gone; the focus stays in the panel. */
  function focusOn(opened) {
    const entry = entries.find((each) => each.button.tabIndex === 0)?.button;
    (opened ? details.querySelector(".vmap-back") : entry)?.focus();
  }

  function list_() {
    const found = state.found;
    let shown = 0;
    for (const entry of entries) {
      const hits = found ? (found.groups.get(entry.cluster.place) ?? 0) : entry.cluster.size;
      entry.item.hidden = Boolean(found) && !hits;
      entry.size.textContent = found ? `${count(hits)} / ${count(entry.cluster.size)}` : count(hits);
      shown += !entry.item.hidden;
    }
    if (found) {
      const order = entries.filter((entry) => !entry.item.hidden);
      order.sort((a, b) => found.groups.get(b.cluster.place) - found.groups.get(a.cluster.place));
      list.append(...order.map((entry) => entry.item));
    } else list.append(...entries.map((entry) => entry.item));
    heading.textContent = found
      ? `${count(shown)} of ${count(entries.length)} clusters`
      : `${count(entries.length)} cluster${entries.length === 1 ? "" : "s"}`;
  }

  async function detailed(one) {
    const back = document.createElement("button");
    back.type = "button";
    back.className = "vmap-back";
    back.textContent = "All clusters";
    back.addEventListener("click", () => act.select(null));
    const title = document.createElement("h2");
    title.dir = "auto";
    title.textContent = one ? one.title : "Noise";
    if (one?.slot >= 0) title.style.setProperty("--color", `var(--c${one.slot})`);
    const rows = one ? one.rows : columns.noise;
    const size = one ? one.size : rows.length;
    const share = ((100 * size) / columns.n).toFixed(size * 10 < columns.n ? 1 : 0);
    const called = one ? `cluster ${one.id} · ` : "";
    const parts = [back, title, textDiv("vmap-quiet", `${called}${count(size)} rows · ${share} %`)];
    if (one?.pinned) parts.push(textDiv("vmap-quiet", "pinned"));
    if (one?.description) parts.push(textDiv("vmap-description", one.description));
    if (one?.keywords.length) parts.push(chips(one.keywords));
    if (one) parts.push(...within(one));
    details.replaceChildren(...parts);
    const singled = state.singled;
    const shown = await samples(one, rows);
    if (state.singled === singled && shown) details.append(shown);
  }

  function chips(words) {
    const made = div("vmap-chips");
    made.append(...words.map((word) => textDiv("vmap-chip", word)));
    return made;
  }

  function within(one) {
    const inner = columns.inner.filter((each) => each.id === one.id).slice(0, 12);
    if (!inner.length) return [];
    const made = document.createElement("ul");
    made.className = "vmap-within";
    for (const each of inner) {
      const item = document.createElement("li");
      item.append(textDiv("", each.title), span("vmap-count", count(each.size)));
      made.append(item);
    }
    return [textDiv("vmap-label", "In it"), made];
  }

  async function samples(one, rows) {
    const [keys, texts, images] = await content.all();
    if (!texts && !images) return null;
    const told = (row) => texts?.[row] || images?.[row];
    const best = (one && columns.shown[one.id]) || [];
    const some = [...new Set([...best, ...rows.slice(0, 400)])].filter(told).slice(0, images ? 24 : SAMPLES);
    if (!some.length) return null;
    const box = div("vmap-samples");
    box.append(textDiv("vmap-label", "Some of its rows"));
    const made = div(images ? "vmap-pictures" : "vmap-rows");
    for (const row of some) made.append(sampleOf(row, keys, texts?.[row], safeImage(images?.[row])));
    box.append(made);
    return box;
  }

  function sampleOf(row, keys, text, image) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "vmap-sample";
    button.dir = "auto";
    if (image) {
      const picture = document.createElement("img");
      picture.src = image;
      picture.alt = text || keys?.[row] || "";
      button.append(picture);
    } else button.textContent = text;
    button.addEventListener("click", () => act.pick(row));
    return button;
  }

  return { update, side };
}

function span(name, text) {
  const element = document.createElement("span");
  if (name) element.className = name;
  element.textContent = text;
  return element;
}
