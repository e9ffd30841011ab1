window.vmap = vdbclusterMap(
  document.getElementById("vmap"),
  JSON.parse(document.getElementById("vmap-data").textContent),
  {},
);
