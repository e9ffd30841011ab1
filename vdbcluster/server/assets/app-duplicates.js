/* Rows that say the same, group by group: the one to keep, and its copies. */

import { get } from "./app-api.js";
import { count, empty, fill, h, own, say, waiting } from "./app-dom.js";
import { chip, moreButton } from "./app-rows.js";
import { PAGE } from "./app-state.js";

export async function duplicates(element, context) {
  const list = h("div", { class: "list" }, waiting());
  fill(
    element,
    h(
      "header",
      { class: "heading" },
      h("h1", { tabindex: "-1", id: "title" }, "Near duplicates"),
      h("p", { class: "hint" }, "The row to keep comes first, its copies below."),
    ),
    list,
  );
  const found = await get("main", "duplicates", { limit: PAGE });
  if (!found.marked)
    return fill(
      list,
      empty(
        "Nobody looked for duplicates yet",
        "vdbcluster run --mark-duplicates writes which rows are copies of which.",
      ),
    );
  if (!found.groups.length)
    return fill(list, empty("No duplicates", "No row is marked as a copy of another."));
  const groups = h("ul", { class: "groups" });
  const keys = [];
  let after = null;
  const put = (page) => {
    after = page.after;
    groups.append(...page.groups.map((one) => group(one, context)));
    keys.push(...page.groups.flatMap((one) => [one.kept, ...one.copies].map((row) => row.key)));
    context.listed(keys);
    say(`${count(groups.children.length)} groups of copies`);
  };
  put(found);
  const more = async () => {
    put(await get("main", "duplicates", { limit: PAGE, after }));
    return after === null ? null : 1;
  };
  const further = moreButton("More groups", more, context);
  return fill(list, groups, after === null ? null : further);
}

function group({ kept, copies }, context) {
  const line = (row) =>
    h(
      "li",
      {},
      h(
        "a",
        {
          class: "line",
          dir: "auto",
          href: context.here({ row: row.key }),
          onmouseenter: () => context.lit(row.key),
          onmouseleave: () => context.lit(null),
        },
        row.text || `row ${row.key}`,
      ),
      h("span", { class: "key" }, own(row.key)),
    );
  return h(
    "li",
    { class: "group" },
    h(
      "div",
      { class: "meta" },
      chip(kept.cluster, context),
      h(
        "span",
        { class: "hint" },
        copies.length === 1 ? "1 copy" : `${count(copies.length)} copies`,
      ),
    ),
    h("ul", { class: "lines" }, line(kept), copies.map(line)),
  );
}
