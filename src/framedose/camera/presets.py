"""The five MTF models of the paper's Table 3; the readout is 0.005..0.015 electrons per pixel in all of them."""

from framedose.camera.noise import CameraRanges
from framedose.config import Range

_C0_C3 = {
    "MTF1": ((0.4, 0.6), (2.0, 3.0)),
    "MTF2": ((0.4, 0.6), (1.0, 5.0)),
    "MTF3": ((0.2, 0.3), (1.0, 5.0)),
    "MTF4": ((0.25, 0.6), (2.0, 5.0)),
    "MTF5": ((0.6, 0.8), (2.0, 5.0)),
}

MTF_PRESETS: dict[str, CameraRanges] = {
    name: CameraRanges(c0=Range(low=c0[0], high=c0[1]), c3=Range(low=c3[0], high=c3[1]))
    for name, (c0, c3) in _C0_C3.items()
}
