"""Pure stage: the neighbour graph, its weights and its smoothing. Arrays in, arrays out."""
