"""The search UI and its JSON API, over HTTP."""
