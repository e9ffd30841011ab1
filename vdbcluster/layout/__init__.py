"""Where rows lie on a map, from their neighbour graph alone."""
