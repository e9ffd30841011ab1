"""Jobs on a schedule, each run in a process of its own."""
