/* Keyboard, the tabs of a narrow page, and the switch between light and dark.

   "/" goes to the search box; arrows up and down move within a list; Escape closes the row. */

import { fill, h, icon } from "./app-dom.js";

const LISTS = "ul.rows, ul.clusters, ul.ways, ul.tiles, ul.lines, ul.facets, ul.groups";
const STOPS = "a.text, .clusters a, .ways a, a.tile, a.line, .facets input";
const writing = (element) =>
  /^(input|textarea|select)$/i.test(element?.tagName) && element.type !== "checkbox";

export function keys(context) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
      return;
    if (event.key === "/" && !writing(document.activeElement)) {
      event.preventDefault();
      document.getElementById("q").select();
      document.getElementById("q").focus();
    } else if (event.key === "Escape" && context.state.row !== null) {
      context.go({ row: null });
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      move(event);
    }
  });
}

function move(event) {
  const focused = document.activeElement;
  const down = event.key === "ArrowDown";
  if (focused?.id === "q" && down)
    return step(event, document.querySelector("#main a.text, #main a.tile"));
  const list = focused?.closest?.(LISTS);
  if (!list || writing(focused)) return undefined;
  const stops = [...list.closest("main, nav, aside").querySelectorAll(STOPS)].filter(
    (stop) => stop.closest(LISTS) === list,
  );
  const item = focused.closest("li");
  const place = stops.findIndex((stop) => stop === focused || item?.contains(stop));
  return step(event, stops[place + (down ? 1 : -1)]);
}

function step(event, target) {
  if (!target) return;
  event.preventDefault();
  target.focus();
  target.scrollIntoView({ block: "nearest" });
}

export function tabs(element) {
  const all = [
    ["main", "list", "Rows"],
    ["side", "shapes", "Clusters"],
    ["map", "map", "Map"],
  ];
  const choose = (name) => {
    document.body.dataset.tab = name;
    for (const button of element.children)
      button.setAttribute("aria-pressed", button.dataset.tab === name);
    window.dispatchEvent(new Event("resize"));
  };
  fill(
    element,
    all.map(([name, picture, title]) =>
      h(
        "button",
        { type: "button", "data-tab": name, onclick: () => choose(name) },
        icon(picture),
        title,
      ),
    ),
  );
  choose("main");
  // Whoever follows a link in the list of clusters, or picks one on the map, wants to see it.
  window.addEventListener("vdbcluster-shown", () => choose("main"));
}

export function themeButton(button) {
  const theme = () => document.documentElement.dataset.theme;
  const draw = () => {
    const other = theme() === "dark" ? "light" : "dark";
    fill(button, icon(other === "dark" ? "moon" : "sun"));
    button.setAttribute("aria-label", `Switch to ${other} mode`);
    button.title = `Switch to ${other} mode`;
  };
  button.addEventListener("click", () =>
    window.vdbclusterTheme.set(theme() === "dark" ? "light" : "dark"),
  );
  window.vdbclusterTheme.follow(draw);
  draw();
}
