// Mouse, fingers and keys on the map. A flat map is moved here; a solid one is turned by plotly.

const REACH = 12; // pixels within which a point counts as meant
const STILL = 5;

function makeInput(stage, columns, scene, hover, act) {
  const nearest = columns.flat ? makeIndex(columns) : null;
  const pointers = new Map();
  let moved = 0;
  let last = null;

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const onMap = (event) => !event.target.closest(".vmap-tools, .vmap-name, .vmap-card");

  function rowAt(x, y, reach = REACH) {
    if (!nearest) return -1;
    const [mx, my] = scene.unproject(x, y);
    const away = reach * scene.scale();
    return nearest(mx, my, away, away, act.accepts);
  }

  function clicked(row) {
    if (row < 0) return act.restore();
    const group = columns.groups[row];
    const id = group < 0 ? -1 : columns.clusters[group].id;
    act.select(act.state.singled === id && act.state.picked === row ? null : id);
    if (act.state.singled !== null) act.pick(row);
    return undefined;
  }

  function down(event) {
    if (!onMap(event) || event.button > 0) return;
    pointers.set(event.pointerId, at(event));
    stage.setPointerCapture(event.pointerId);
    if (pointers.size === 1) moved = 0;
    last = grip();
  }

  /** The middle of the fingers, and how far they are apart. */
  function grip() {
    const [a, b] = [...pointers.values()];
    if (!b) return { x: a[0], y: a[1], apart: 0 };
    return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, apart: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  }

  function move(event) {
    if (!pointers.has(event.pointerId)) {
      if (event.pointerType === "mouse" && onMap(event)) hover.show(rowAt(...at(event)), ...at(event));
      return;
    }
    pointers.set(event.pointerId, at(event));
    const now = grip();
    moved += Math.hypot(now.x - last.x, now.y - last.y) + Math.abs(now.apart - last.apart);
    if (moved > STILL) {
      hover.hide();
      stage.classList.add("vmap-dragged");
      scene.panned(now.x - last.x, now.y - last.y);
      if (last.apart && now.apart) scene.zoomed(now.apart / last.apart, now.x, now.y);
    }
    last = now;
  }

  function up(event) {
    if (!pointers.delete(event.pointerId)) return;
    stage.classList.remove("vmap-dragged");
    if (pointers.size) last = grip();
    else if (moved <= STILL && event.type === "pointerup") {
      const touch = event.pointerType !== "mouse";
      const row = rowAt(...at(event), touch ? 2 * REACH : REACH);
      clicked(row);
      if (touch) hover.show(row, ...at(event));
    }
  }

  function wheel(event) {
    if (act.asked.wheel === "ctrl" && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const by = Math.exp(-Math.max(-150, Math.min(150, event.deltaY * lines)) / 350);
    scene.zoomed(by, ...at(event));
  }

  function key(event) {
    if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60;
    const does = {
      ArrowLeft: () => scene.panned(step, 0),
      ArrowRight: () => scene.panned(-step, 0),
      ArrowUp: () => scene.panned(0, step),
      ArrowDown: () => scene.panned(0, -step),
      "+": () => scene.zoomed(1.4),
      "=": () => scene.zoomed(1.4),
      "-": () => scene.zoomed(1 / 1.4),
      0: () => scene.fit(),
      Home: () => scene.fit(),
      Enter: () => clicked(rowAt(stage.clientWidth / 2, stage.clientHeight / 2, stage.clientWidth)),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  function solid() {
    const plot = stage.querySelector(".vmap-plot");
    const ready = () => {
      if (!plot.on) return requestAnimationFrame(ready);
      const rowIn = (event) => scene.rowOf(event.points[0].curveNumber, event.points[0].pointNumber);
      let where = [0, 0];
      stage.addEventListener("pointermove", (event) => (where = at(event)), true);
      plot.on("plotly_hover", (event) => hover.show(rowIn(event), ...where));
      plot.on("plotly_unhover", () => hover.hide());
      plot.on("plotly_click", (event) => clicked(rowIn(event)));
      return undefined;
    };
    ready();
  }

  stage.addEventListener("keydown", key);
  if (columns.flat) {
    stage.addEventListener("pointerdown", down);
    stage.addEventListener("pointermove", move);
    stage.addEventListener("pointerup", up);
    stage.addEventListener("pointercancel", up);
    // A tap has done its work by now; the click that would follow could meet a name that came here.
    stage.addEventListener("touchend", (event) => onMap(event) && event.cancelable && event.preventDefault());
    stage.addEventListener("pointerleave", () => hover.hide());
    stage.addEventListener("wheel", wheel, { passive: false });
    stage.addEventListener("dblclick", (event) => onMap(event) && scene.zoomed(2, ...at(event)));
  } else solid();

  return { stop: () => pointers.clear() };
}
