/* What results are filtered by, and how to change it.

   filterBar(context) -> Element: chosen clusters, "core rows only", a Milvus expression
   filterTrouble(element, error, state): shows an error of the expression beside it; false if the
   error is about something else */

import { fill, h, own } from "./app-dom.js";
import { NOISE } from "./app-rows.js";

export function filterBar(context) {
  const { state, store, go } = context;
  const without = (id) => go({ clusters: state.clusters.filter((one) => one !== id) });
  const chosen = state.clusters.map((id) => {
    const title = id === NOISE ? "noise" : (store.title(id) ?? `cluster ${id}`);
    return h(
      "button",
      {
        type: "button",
        class: "chip drop",
        color: store.colors(id),
        onclick: () => without(id),
        "aria-label": `Take away the filter ${title}`,
      },
      h("i", { class: "dot" }),
      own(title),
      h("span", { class: "x", "aria-hidden": "true" }, "×"),
    );
  });
  const core = h(
    "label",
    {
      class: "switch",
      title:
        "Only rows that the density put into their cluster, not those that neighbours voted in",
    },
    h("input", {
      type: "checkbox",
      role: "switch",
      checked: state.core,
      onchange: (event) => go({ core: event.target.checked }),
    }),
    h("i"),
    "Core rows only",
  );
  return h(
    "div",
    { class: "filters" },
    chosen.length ? h("div", { class: "chosen" }, chosen) : null,
    h("div", { class: "refine" }, core, expression(context)),
  );
}

function expression({ state, store, go }) {
  const input = h("input", {
    id: "expression",
    class: "small code",
    value: state.filter,
    maxlength: 2000,
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: example(store.collection),
    "aria-describedby": "expression-error",
  });
  return h(
    "details",
    { class: "advanced", open: Boolean(state.filter) },
    h("summary", {}, "Filter"),
    h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          go({ filter: input.value.trim() });
        },
      },
      h("label", { for: "expression" }, "Milvus expression"),
      h(
        "div",
        { class: "pair" },
        input,
        h("button", { type: "submit" }, "Apply"),
        state.filter
          ? h("button", { type: "button", onclick: () => go({ filter: "" }) }, "Clear")
          : null,
      ),
      h("p", { class: "error", id: "expression-error", role: "alert", hidden: true }),
      h("p", { class: "hint" }, "Fields: ", own(names(store.collection))),
    ),
  );
}

const names = (collection) =>
  (collection.fields || [])
    .filter((field) => !/VECTOR/i.test(field.type))
    .map((field) => field.name)
    .join(", ") || "none";

function example(collection) {
  const number = (collection.fields || []).find((field) => /^(INT|FLOAT|DOUBLE)/i.test(field.type));
  return number ? `${number.name} > 100` : "cluster_probability > 0.9";
}

export function filterTrouble(element, error, state) {
  const place = element.querySelector("#expression-error");
  if (!place || !state.filter || error.status !== 400) return false;
  place.closest("details").open = true;
  place.hidden = false;
  fill(place, error.message);
  element.querySelector("#expression").setAttribute("aria-invalid", "true");
  return true;
}
