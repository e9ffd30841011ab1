"""Use-cases against ports; no database client is imported here."""
