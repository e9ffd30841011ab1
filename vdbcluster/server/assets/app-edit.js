/* What people say of clusters: name, description, pinned, hidden, merged.

   editing(cluster, context) -> buttons, or null where the page is read-only
   context.edited(): called after the server has kept an edit, to show it anew
   Promise: what is shown afterwards is the server's answer; an error stands beside the button that
   led to it; rows are merged only after a question that says how many. */

import { send } from "./app-api.js";
import { count, fill, h, own, rowsOf, say } from "./app-dom.js";

export function editing(cluster, context) {
  if (!context.store.collection?.editable) return null;
  const deeds = h("span", { class: "deeds" });
  const told = h("p", { class: "error", role: "alert", hidden: true });
  const patch = (body, done) =>
    keep(told, () => send("PATCH", `clusters/${cluster.id}`, body), done, context);
  if (cluster.merged_into !== null && cluster.merged_into !== undefined) {
    const split = () =>
      keep(
        told,
        () => send("POST", `clusters/${cluster.id}/unmerge`, {}),
        "The next run lets it come back.",
        context,
      );
    deeds.append(button("Unmerge", split), told);
    return deeds;
  }
  deeds.append(
    button("Rename…", () => words(cluster, context)),
    button(cluster.pinned ? "Unpin" : "Pin", () =>
      patch({ pinned: !cluster.pinned }, cluster.pinned ? "Unpinned." : "Pinned."),
    ),
    button(cluster.hidden ? "Show" : "Hide", () =>
      patch({ hidden: !cluster.hidden }, cluster.hidden ? "Shown again." : "Hidden."),
    ),
    button("Merge…", () => merging(cluster, context)),
    told,
  );
  return deeds;
}

const button = (name, onclick) => h("button", { type: "button", onclick }, name);

/* true if it was kept. */
async function keep(told, ask, done, context) {
  told.hidden = true;
  try {
    const answer = await ask();
    say(done);
    await context.edited(answer);
    return true;
  } catch (error) {
    if (error.status === 401) context.failed(error, () => {});
    told.textContent = error.message;
    told.hidden = false;
    return false;
  }
}

function dialog(title, submit, ask, ...inner) {
  const told = h("p", { class: "error", role: "alert", hidden: true });
  const yes = h("button", { type: "submit", class: "strong" }, submit);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "asked" }, title),
    inner,
    told,
    h(
      "div",
      { class: "deeds" },
      h("button", { type: "button", onclick: () => box.close() }, "Cancel"),
      yes,
    ),
  );
  const box = h("dialog", { "aria-labelledby": "asked" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    yes.disabled = true;
    if (await ask(told)) box.close();
    yes.disabled = false;
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

function words(cluster, context) {
  const name = h("input", { id: "new-name", maxlength: 500, value: cluster.name, dir: "auto" });
  const about = h("textarea", {
    id: "new-about",
    rows: 4,
    maxlength: 8000,
    value: cluster.description,
    dir: "auto",
  });
  dialog(
    "Name and description",
    "Save",
    (told) =>
      keep(
        told,
        () =>
          send("PATCH", `clusters/${cluster.id}`, {
            name: name.value.trim(),
            description: about.value.trim(),
          }),
        "Saved.",
        context,
      ),
    h("label", { for: "new-name" }, "Name"),
    name,
    h("p", { class: "hint" }, "Empty: it is called by its keywords again."),
    h("label", { for: "new-about" }, "Description"),
    about,
    h("p", { class: "hint" }, "Later runs keep what you say here."),
  );
}

function merging(cluster, context) {
  const others = context.store.clusters.filter(
    (other) => other.id !== cluster.id && other.state !== "merged",
  );
  if (!others.length) return;
  const near = new Set((cluster.similar || []).map((one) => one.id));
  const first = (cluster.similar || [])
    .map((one) => others.find((other) => other.id === one.id))
    .filter(Boolean);
  const sorted = [...first, ...others.filter((other) => !near.has(other.id))];
  const into = h(
    "select",
    { id: "into", onchange: () => tell() },
    sorted.map((other) =>
      h("option", { value: other.id }, `${other.id}: ${other.title} (${rowsOf(other.size)})`),
    ),
  );
  const told = h("p", { class: "asked", id: "what" });
  const tell = () => {
    const other = others.find((one) => one.id === Number(into.value));
    fill(
      told,
      h("b", {}, `${rowsOf(cluster.size)}`),
      " of cluster ",
      h("b", {}, String(cluster.id)),
      " (",
      own(cluster.title),
      ") get the id ",
      h("b", {}, String(other.id)),
      " (",
      own(other.title),
      `), which then has ${count(cluster.size + other.size)}. `,
      "This writes to the collection now. Later runs keep it; it is recorded as a run, and ",
      "vdbcluster rollback takes that back.",
    );
  };
  dialog(
    "Merge into another cluster",
    "Merge",
    async (line) => {
      const target = Number(into.value);
      const ask = () => send("POST", `clusters/${cluster.id}/merge`, { into: target });
      return keep(line, ask, `Merged: ${rowsOf(cluster.size)} moved.`, {
        ...context,
        edited: () => context.edited(null, target),
      });
    },
    h("label", { for: "into" }, "Into"),
    into,
    told,
  );
  tell();
}
