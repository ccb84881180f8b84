"""framedose: the electron dose per frame from which a neural network sees a nanoparticle, and can be trusted.

What most people need stands here; each name is imported when it is first used, so that ``import framedose`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from framedose.camera.calibrate import calibrate
    from framedose.camera.passport import load_passport
    from framedose.dataset.folder import make_dataset
    from framedose.files import read, summed, write_tiff
    from framedose.inference.batch import segment_files
    from framedose.inference.segment import Segmentation, segment
    from framedose.micrograph import Micrograph
    from framedose.networks.weights import load_network
    from framedose.study.config import study_config
    from framedose.study.run import run_study

_HOMES = {
    "Micrograph": "framedose.micrograph",
    "Segmentation": "framedose.inference.segment",
    "calibrate": "framedose.camera.calibrate",
    "load_network": "framedose.networks.weights",
    "load_passport": "framedose.camera.passport",
    "make_dataset": "framedose.dataset.folder",
    "read": "framedose.files",
    "run_study": "framedose.study.run",
    "segment": "framedose.inference.segment",
    "segment_files": "framedose.inference.batch",
    "study_config": "framedose.study.config",
    "summed": "framedose.files",
    "write_tiff": "framedose.files",
}

__all__ = [
    "Micrograph",
    "Segmentation",
    "calibrate",
    "load_network",
    "load_passport",
    "make_dataset",
    "read",
    "run_study",
    "segment",
    "segment_files",
    "study_config",
    "summed",
    "write_tiff",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'framedose' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
