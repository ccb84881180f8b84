"""Files of the microscope: read into calibrated frames, and written so that other programs see the scale."""

from framedose.files.frames import Frames
from framedose.files.reader import read
from framedose.files.sums import summed
from framedose.files.writer import write_tiff

__all__ = ["Frames", "read", "summed", "write_tiff"]
