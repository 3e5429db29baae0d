"""Radiographs: one file to one array.

>>> from cxrbench.radiograph import read, read_square
>>> read("film.dcm")          # (height, width) uint8 or uint16, bright where the body is dense
>>> read_square("film.dcm", 224)  # (224, 224) uint8, centre-cropped
>>> picture_faults(read_shown("film.dcm"))  # () where the picture may be a radiograph
"""

from cxrbench.radiograph.film import Box, film_box
from cxrbench.radiograph.header import Header, read_header, read_shape
from cxrbench.radiograph.plausible import picture_faults
from cxrbench.radiograph.reader import read, read_shown
from cxrbench.radiograph.refusal import MAX_PIXELS
from cxrbench.radiograph.square import read_square

__all__ = [
    "MAX_PIXELS",
    "Box",
    "Header",
    "film_box",
    "picture_faults",
    "read",
    "read_header",
    "read_shape",
    "read_shown",
    "read_square",
]
