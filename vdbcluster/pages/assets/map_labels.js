// Names at their clusters, none over another. Boxes are measured; the first to find room stays:
// pinned clusters, then large ones, then those within others once one has zoomed in.

const GAP = 3;
const SHARE = 0.26; // of the map that names may cover, so that points are seen between them
const INNER_ZOOM = 1.6;
// Where a name may stand, in its own widths and heights from the place of its cluster.
const SPOTS = [
  [0, 0], [0, -0.6], [0, 0.6], [0.3, -0.6], [-0.3, -0.6], [0.3, 0.6], [-0.3, 0.6],
  [0.45, 0], [-0.45, 0], [0, -1.2], [0, 1.2], [0.5, -1], [-0.5, -1], [0.5, 1], [-0.5, 1],
];

function makeLabels(layer, columns, scene, state, onSelect) {
  const whole = columns.clusters
    .filter((one) => !one.hidden && one.at?.length)
    .sort((a, b) => b.pinned - a.pinned || b.size - a.size);
  const largest = whole.reduce((most, one) => Math.max(most, one.size), 1);
  const names = [
    ...whole.map((one) => labelOf(one, false)),
    ...columns.inner.filter((one) => one.at?.length).map((one) => labelOf(one, true)),
  ];

  function labelOf(cluster, inner) {
    const slot = inner ? columns.byId.get(cluster.id)?.slot : cluster.slot;
    return { cluster, inner, slot: slot ?? -1, element: null, width: 0, height: 0, spot: 0 };
  }

  function made(name) {
    const element = document.createElement("button");
    element.type = "button";
    element.tabIndex = -1; // the list of clusters is the way by keyboard
    element.dir = "auto";
    element.className = name.inner ? "vmap-name vmap-inner" : "vmap-name";
    if (name.cluster.pinned) element.classList.add("vmap-pinned");
    if (name.slot >= 0) element.style.setProperty("--color", `var(--c${name.slot})`);
    const weight = Math.sqrt(name.cluster.size / largest).toFixed(2);
    element.style.setProperty("--weight", weight);
    const text = document.createElement("span");
    text.textContent = name.cluster.title;
    element.append(text);
    element.addEventListener("click", () => onSelect(name.cluster.id));
    layer.append(element);
    name.element = element;
    name.width = element.offsetWidth;
    name.height = element.offsetHeight;
  }

  function wanted(name) {
    if (state.singled !== null && state.singled !== name.cluster.id) return false;
    if (state.found && !state.found.groups.has(columns.byId.get(name.cluster.id)?.place)) return false;
    if (name.inner) return scene.zoom() >= INNER_ZOOM || state.singled === name.cluster.id;
    return true;
  }

  /** Put the names where there is room; how many there are. */
  function place() {
    const width = layer.clientWidth;
    const height = layer.clientHeight;
    const taken = reserved(layer);
    let left = SHARE * width * height;
    let shown = 0;
    for (const name of names) {
      const spot = left > 0 && wanted(name) ? room(name, width, height, taken) : null;
      if (!spot) {
        if (name.element) name.element.hidden = true;
        continue;
      }
      name.element.hidden = false;
      name.element.style.transform = `translate(${spot.left.toFixed(1)}px, ${spot.top.toFixed(1)}px)`;
      taken.push(spot);
      left -= name.width * name.height;
      shown++;
    }
    return shown;
  }

  function room(name, width, height, taken) {
    const at = scene.project(name.cluster.at);
    if (!at || at[0] < 0 || at[1] < 0 || at[0] > width || at[1] > height) return null;
    if (!name.element) made(name);
    else if (!name.width) {
      name.element.hidden = false;
      name.width = name.element.offsetWidth;
      name.height = name.element.offsetHeight;
    }
    // Where it stood before comes first, so that names do not jump about; a name does not cover a
    // cluster that is smaller than itself.
    const small = 2 * reach(name) < 2.5 * name.height;
    const spots = [...SPOTS.keys()];
    const order = small ? [...spots.slice(1), 0] : spots;
    for (const i of name.spot && !small ? [name.spot, ...order] : order) {
      const [dx, dy] = SPOTS[i];
      const left = at[0] - name.width / 2 + dx * name.width;
      const top = at[1] - name.height / 2 + dy * name.height;
      const box = { left, top, right: left + name.width, bottom: top + name.height };
      if (left < 2 || top < 2 || box.right > width - 2 || box.bottom > height - 2) continue;
      if (taken.every((other) => apart(box, other))) {
        name.spot = i;
        return box;
      }
    }
    return null;
  }

  /** How far its cluster reaches, in pixels: what half of its rows keep to. */
  function reach(name) {
    if (!scene.flat) return Infinity;
    if (name.reach === undefined) {
      const rows = name.inner ? [] : (columns.byId.get(name.cluster.id)?.rows ?? []);
      const [x, y] = name.cluster.at;
      const away = rows.slice(0, 500).map((row) => Math.hypot(columns.axes[0][row] - x, columns.axes[1][row] - y));
      name.reach = away.length ? away.sort((a, b) => a - b)[away.length >> 1] : Infinity;
    }
    return name.reach / scene.scale();
  }

  function forget() {
    for (const name of names) name.width = 0;
  }

  return { place, forget };
}

const apart = (a, b) =>
  a.right + GAP <= b.left || b.right + GAP <= a.left || a.bottom + GAP <= b.top || b.bottom + GAP <= a.top;

/** Boxes that names keep clear of: what lies over the map. */
function reserved(layer) {
  const origin = layer.getBoundingClientRect();
  const over = layer.closest(".vmap").querySelectorAll("[data-over]");
  return Array.from(over, (element) => element.getBoundingClientRect())
    .filter((box) => box.width && box.height)
    .map((box) => ({
      left: box.left - origin.left,
      top: box.top - origin.top,
      right: box.right - origin.left,
      bottom: box.bottom - origin.top,
    }));
}
