/* Asks for the token of the server; then(): called once it was right. */

import { drop, send } from "./app-api.js";
import { fill, h } from "./app-dom.js";

export function login(element, then) {
  for (const place of ["main", "clusters", "map", "row"]) drop(place);
  document.body.classList.remove("ready");
  const token = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const told = h("p", { class: "error", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "strong" }, "Open");
  const form = h(
    "form",
    { class: "login" },
    h("h1", {}, "This collection needs a token"),
    h("label", { for: "token" }, "Token"),
    token,
    told,
    button,
    h("p", { class: "hint" }, "It is the one that vdbcluster serve was started with."),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send("POST", "login", { token: token.value });
      fill(element);
      then();
    } catch (error) {
      told.textContent =
        error.status === 401 || error.status === 403 ? "That is not the token." : error.message;
      told.hidden = false;
      token.select();
    }
    button.disabled = false;
  });
  fill(element, form);
  token.focus();
}
