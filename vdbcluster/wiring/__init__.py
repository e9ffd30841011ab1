"""Config to concrete adapters; the only place that names them."""
