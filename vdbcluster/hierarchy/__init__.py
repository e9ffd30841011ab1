"""Pure stage: spanning tree, condensed tree, clusters. Arrays in, arrays out."""
