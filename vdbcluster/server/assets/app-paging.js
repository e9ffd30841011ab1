/* Pages of rows that follow each other.

   paged(place, context, rows, {none, next, whole, last}): the first page, and "More rows" where
   there are any; next(shown) -> the rows after them;
   last(rows): whether they are the end;  byKey(...): pages as the server ends them */

import { get } from "./app-api.js";
import { fill, rowsOf, say } from "./app-dom.js";
import { append, moreButton, rowList } from "./app-rows.js";
import { PAGE } from "./app-state.js";

const short = (page) => page.length < PAGE;

/* Rows of the first page, and a button for more where there are any. */
export function paged(place, context, rows, { none, next, whole, last = short }) {
  if (!rows.length) {
    fill(place, none);
    context.listed([]);
    return say("No rows");
  }
  const list = rowList(rows, context);
  const keys = rows.map((row) => row.key);
  const tell = () => say(`${rowsOf(keys.length)} shown`);
  const more = async () => {
    const page = await next(keys.length);
    append(list, page, context);
    keys.push(...page.map((row) => row.key));
    tell();
    context.listed(keys);
    context.paged(keys.length);
    return last(page) ? null : page.length;
  };
  const further = moreButton("More rows", more, context);
  fill(place, list, whole ? null : further);
  tell();
  return context.listed(keys);
}

/* Pages by key: the server says after which the next begins. */
export async function byKey(place, context, path, none) {
  let after = null;
  const page = async (limit) => {
    const found = await get("main", path, { limit, after });
    after = found.after;
    return found.rows;
  };
  const rows = await page(context.state.n);
  paged(place, context, rows, {
    none,
    next: () => page(PAGE),
    whole: after === null,
    last: () => after === null,
  });
}
