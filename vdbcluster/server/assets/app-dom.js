/* Elements, numbers and texts.

   h("a", {class: "chip", href, onclick, "aria-label": text}, child, ...) -> Element
   Promise: data reaches the page as text nodes and attributes only, never as markup; an address
   is set only if it leads to this page (data:image/ for pictures). */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  sun: "M12 4V2m0 20v-2M4 12H2m20 0h-2M6.3 6.3 4.9 4.9m14.2 14.2-1.4-1.4M6.3 17.7l-1.4 1.4M19.1 4.9l-1.4 1.4M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5",
  close: "M6 6l12 12M18 6 6 18",
  pin: "M9 3h6l-1 7 4 4H6l4-4zM12 14v7",
  hidden:
    "M4 4l16 16M9.9 5.2A9.7 9.7 0 0 1 12 5c5 0 8.5 4 10 7a15 15 0 0 1-3 3.9M6.6 6.6A15 15 0 0 0 2 12c1.5 3 5 7 10 7 1.6 0 3-.4 4.3-1",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  shapes: "M7 4a3 3 0 1 1 0 6 3 3 0 0 1 0-6m10 9a4 4 0 1 1 0 8 4 4 0 0 1 0-8M6 15h5v5H6z",
  map: "M9 4 3 6.5v14L9 18l6 2.5 6-2.5v-14L15 6.5zm0 0v14m6-11.5v14",
};

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) set(element, name, value);
  add(element, children);
  return element;
}

/* Addresses that are set: those of this page, and pictures that come with the data. */
const LEADS = {
  href: (value) => value === "/" || /^[?#/](?!\/)/.test(value),
  src: (value) => /^data:image\//.test(value),
};

const isAbsent = (value) => value === null || value === undefined || value === false;

function set(element, name, value) {
  if (isAbsent(value)) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "color") colored(element, value);
  else if (name === "part") element.style.setProperty("--part", value);
  else if (name === "value" || name === "checked") element[name] = value;
  else if (!(name in LEADS) || LEADS[name](value))
    element.setAttribute(name, value === true ? "" : String(value));
}

/* ``[light, dark]``: the style sheet takes the one that fits. */
function colored(element, [light, dark]) {
  element.dataset.colored = "";
  element.style.setProperty("--on-light", light);
  element.style.setProperty("--on-dark", dark);
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (!isAbsent(child)) element.append(child);
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/* The same, where the focus may lie within: it stays on what has the same data-stop. */
export function refill(element, ...children) {
  const inside = element.contains(document.activeElement) && document.activeElement.dataset.stop;
  fill(element, ...children);
  if (inside)
    element.querySelector(`[data-stop="${CSS.escape(inside)}"]`)?.focus({ preventScroll: true });
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of [
    ["viewBox", "0 0 24 24"],
    ["aria-hidden", "true"],
    ["class", "icon"],
  ])
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const NUMBER = new Intl.NumberFormat("en");
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });

export const count = (n) => NUMBER.format(n);
export const percent = (share) => PERCENT.format(share);
export const rowsOf = (n) => (n === 1 ? "1 row" : `${count(n)} rows`);
export const clustersOf = (n) => (n === 1 ? "1 cluster" : `${count(n)} clusters`);

export function when(text) {
  const moment = new Date(text);
  if (!text || Number.isNaN(moment.getTime())) return text || "";
  return moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/* A text of somebody else beside ours: its direction is its own. */
export const own = (text) => h("bdi", {}, text);

export const say = (text) => {
  document.getElementById("live").textContent = text;
};

/* A line about something that went wrong, and the way out: again, unless that cannot help. */
export function trouble(error, again) {
  const lasting = error.status >= 400 && error.status < 500;
  const retry = lasting
    ? h("a", { class: "button", href: "?" }, "To the overview")
    : h("button", { type: "button", onclick: again }, "Try again");
  return h("div", { class: "trouble", role: "alert" }, h("p", {}, error.message), retry);
}

export const empty = (title, ...lines) =>
  h(
    "div",
    { class: "empty" },
    h("h2", {}, title),
    lines.map((line) => h("p", {}, line)),
  );

/* Bars where rows will be, while they are fetched. */
export const waiting = (lines = 5) =>
  h(
    "div",
    { class: "waiting", "aria-hidden": "true" },
    Array.from({ length: lines }, () => h("i")),
  );
