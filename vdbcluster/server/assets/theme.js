/* Light or dark, before anything is painted.

   In: the choice kept in localStorage (where that is allowed), else what the system prefers.
   Out: html[data-theme] is "light" or "dark", and window.vdbclusterTheme with
   set("light" | "dark"), and follow(f): f(theme) is called at every change. */
"use strict";
(() => {
  const NAME = "vdbcluster-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const followers = [];
  const kept = () => {
    try {
      const value = localStorage.getItem(NAME);
      return value === "dark" || value === "light" ? value : null;
    } catch {
      return null;
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    for (const follower of followers) follower(theme);
  };
  const current = () => kept() || (system.matches ? "dark" : "light");
  system.addEventListener("change", () => apply(current()));
  apply(current());
  window.vdbclusterTheme = {
    set(theme) {
      try {
        localStorage.setItem(NAME, theme);
      } catch {
        /* a browser that keeps nothing still shows it */
      }
      apply(theme);
    },
    follow(follower) {
      followers.push(follower);
    },
  };
})();
