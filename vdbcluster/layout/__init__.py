"""Where rows lie on a map, from their neighbour graph alone. Pure, no I/O.

points = lay_out(graph, vectors, LayoutParams(dimensions=2, seed=0), last=None)   # UMAP
points = place(indices, distances, points)        # rows that came later, by their neighbours
points = aligned(points, onto)                    # turned, scaled and shifted onto another map
"""

from vdbcluster.layout.align import RADIUS, aligned, beside_zero, coordinates, placed, posed, radius
from vdbcluster.layout.lay import LayoutParams, lay_out
from vdbcluster.layout.place import place, placed_new

__all__ = [
    "RADIUS",
    "LayoutParams",
    "aligned",
    "beside_zero",
    "coordinates",
    "lay_out",
    "place",
    "placed",
    "placed_new",
    "posed",
    "radius",
]
