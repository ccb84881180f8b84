"""``framedose titrate``: from what dose on is a network's mask of a recorded frame still the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from framedose.errors import ConfigurationError

if TYPE_CHECKING:
    from framedose.study.titrate import TitratedFrame


def titrate(
    file: Path,
    *,
    camera: str,
    doses: str,
    network: str = "best",
    threshold: float = 0.9,
    dose: float | None = None,
    sampling: float | None = None,
    frame: int | None = None,
    seed: int = 0,
    out: Path = Path("framedose-titrate"),
) -> None:
    """Titrate a real micrograph: what a network would see of it at lower doses.

    The frame is brought down to each dose with the noise of its own camera, and
    segmented. Area and F1 are against the network's own mask at full dose: this
    is self-consistency, not truth. Radiation damage and motion of the specimen
    are not modelled.

    For a file NAME and a dose D the results hold NAME_D.tif in electrons and
    NAME_D_mask.tif; for all doses titration.csv and, to look at, titration.png.

    Examples:

      framedose titrate frame.dm4 --camera camera.yaml --doses 10,30,100,300

      framedose titrate stack.tif --frame 3 --camera oneview --doses 20,50 --network unet

    Parameters
    ----------
    file
        A raw micrograph. It is never written to.
    camera
        Passport of the camera, from "framedose calibrate", or the name of one that ships with framedose.
    doses
        Doses in e/Å2, separated by commas, each at most a tenth of that of the frame.
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file of your own.
    threshold
        Least probability, between 0 and 1, for a pixel to belong to a particle.
    dose
        Dose of the frame in e/Å2, if it is known better than by its counts, which tell that behind the specimen.
    sampling
        Pixel size in Å per pixel, in place of the file's.
    frame
        Which frame of a stack, from 0.
    seed
        Seed of the noise.
    out
        Folder for the results. It must not exist, or be empty.
    """
    from framedose.random import check_seed
    from framedose.study.titrate import NOT_MODELLED, SELF_CONSISTENCY, titrate_file

    check_seed(seed)
    rows = titrate_file(
        file,
        camera=camera,
        doses=_numbers(doses),
        network=network,
        threshold=threshold,
        sampling=sampling,
        dose=dose,
        frame=frame,
        seed=seed,
        out=out,
    )
    _print_table(rows)
    print(f"{SELF_CONSISTENCY}\n{NOT_MODELLED}")
    print(f"Frames, masks, titration.csv and titration.png are in {out}")
    for row in rows:
        if row.warning:
            print(f"framedose: warning: at {row.dose_per_area:.4g} e/Å2: {row.warning}", file=sys.stderr)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigurationError(f"--doses must be numbers of e/Å2 separated by commas, got {text!r}.") from None


def _print_table(rows: list[TitratedFrame]) -> None:
    print("dose [e/Å2]  area [nm2]  area / full      F1")
    for row in rows:
        ratio, f1 = ("-" if value is None else f"{value:.3f}" for value in (row.area_ratio, row.f1))
        print(f"{row.dose_per_area:>11.4g}  {row.area_nm2:>10.2f}  {ratio:>11}  {f1:>6}")
