"""What a result was made with: versions, machine, and the hash of a file."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("framedose", "numpy", "scipy", "iminuit", "torch", "numba", "abtem", "ase", "zarr", "dask")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on, and the machine."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package] = version(package)
        except PackageNotFoundError:
            continue
    result["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return result


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
