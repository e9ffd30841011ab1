"""Connections that fail, servers that go away, disks that fill up: what a run makes of it."""
