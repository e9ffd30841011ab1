"""What rows of a file become: types, texts, keys. Pure: values in, values out, no I/O.

shape = infer_shape(sample, options)
shaper, sift = Shaper(shape, options), Duplicates(options.duplicates, shape)
found = shaper.record(row)          # Record or RowFault
kept = sift(found)                  # Record, None for a copy, or RowFault
"""

from vdbcluster.records.infer import infer_shape
from vdbcluster.records.keys import Duplicates, count_contents
from vdbcluster.records.options import ShapeOptions
from vdbcluster.records.shaping import Shaper

__all__ = ["Duplicates", "ShapeOptions", "Shaper", "count_contents", "infer_shape"]
