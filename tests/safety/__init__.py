"""Nothing but our own fields ever changes: kills and races."""
