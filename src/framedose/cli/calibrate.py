"""``framedose calibrate``: a camera measured on frames that exist already."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from framedose.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from framedose.camera.spectrum import Floats
    from framedose.files import Frames
    from framedose.files.recorded import Recorded

_PICTURE = ".png"


def calibrate(
    *files: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("camera.yaml"),
    dose: str | None = None,
    sampling: float | None = None,
    dark: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())] = (),
    roi: str | None = None,
    offset: float | None = None,
    differences: Annotated[bool, Parameter(negative=())] = False,
    mtf: str | None = None,
    camera: str = "camera",
    allow_processed: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Measure the noise of a camera on vacuum frames and write its passport.

    The results are the passport, CAMERA.yaml, which the simulation takes, and a
    picture of the fits beside it, CAMERA.png. Look at the picture first.

    Examples:

      framedose calibrate vacuum*.tif --dose 10,30,100,300 -o oneview.yaml

      framedose calibrate stack.tif --sampling 0.75 --roi 0,0,512,512

      framedose study --camera oneview.yaml

    Parameters
    ----------
    files
        Micrographs with vacuum in them, single frames or stacks, raw as the camera made them.
    out
        The passport.
    dose
        Electrons per Å2 and frame: one number, one for each frame separated by commas, or "metadata" for what the
        files say. Without it, gain and excess noise are known as their product only.
    sampling
        Pixel size in Å per pixel, of all files.
    dark
        Frames without electrons.
    roi
        Region of the vacuum as y0,x0,y1,x1 in pixels; found if not given.
    offset
        Counts without electrons, if known: 0 if the camera takes its dark reference off.
    differences
        Measure on differences of consecutive frames, which removes a specimen that does not move.
    mtf
        A passport with an independently measured MTF: with a known dose, the DQE is then given.
    camera
        Name of the camera, for the passport.
    allow_processed
        Measure frames that are not raw all the same (8-bit, averaged, drift-corrected, denoised, saturated); the
        passport then says so.
    """
    from framedose.camera.calibrate import calibrate as measure
    from framedose.camera.frames import one_sampling
    from framedose.camera.issue import issue_passport
    from framedose.camera.page import draw_calibration, summary
    from framedose.camera.passport import Hardware, write_passport
    from framedose.camera.vacuum import Region
    from framedose.files.recorded import Recorded, refuse_processed
    from framedose.provenance import file_digest

    _check_out(out, [*files, *dark])
    if offset is not None and not math.isfinite(offset):
        raise ConfigurationError(f"--offset must be a number of counts, got {offset}.")
    light, without = _read(files, sampling), _read(dark, sampling) if dark else []
    used = [path for one in (*light, *without) for path in one.files]
    _check_out(out, used)
    frames, dark_frames = Recorded(light), Recorded(without)
    flags = refuse_processed(frames, allow=allow_processed)
    result = measure(
        frames,
        sampling=one_sampling([*frames.samplings, *dark_frames.samplings]),
        doses=_doses(dose, frames),
        region=None if roi is None else Region.parse(roi),
        dark=dark_frames,
        offset=offset,
        differences=differences,
        independent_mtf=None if mtf is None else _mtf(mtf),
    )
    hashes = [{"file": path.name, "sha256": file_digest(path)} for path in used]
    hardware = Hardware(frame_time=frames.exposure)
    write_passport(out, issue_passport(result, camera=camera, frames=hashes, hardware=hardware, flags=flags))
    picture = out.with_suffix(_PICTURE)
    draw_calibration(picture, result, frames[len(frames) - 1], camera)
    print(summary(result))
    if result.floors is not None:
        print(f"The paper's way, Eq. 2 on fits of single frames: N_0 = {result.floors.readout:.4g}")
    print(f"Passport: {out}   Picture: {picture}")
    for flag in (*flags, *result.flags):
        print(f"framedose: warning: {flag}", file=sys.stderr)


def _check_out(out: Path, inputs: list[Path]) -> None:
    """Refuse a passport that cannot be written, or that would with its picture take the place of an input.

    A picture that is there without a passport beside it is somebody else's, too.
    """
    if out.suffix == _PICTURE:
        raise ConfigurationError(f"--out {str(out)!r} is the picture's name, beside the passport: name a .yaml file.")
    if not out.absolute().parent.is_dir():
        raise ConfigurationError(f"--out {str(out)!r} lies in a folder that does not exist: make it first.")
    for path in inputs:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise ConfigurationError(
                f"--out {str(out)!r} lies in {path}, of which every picture is read as a frame: choose another --out."
            )
        if path.resolve() in (out.resolve(), out.with_suffix(_PICTURE).resolve()):
            raise ConfigurationError(
                f"--out {str(out)!r} would write over {path}, or its picture would: choose another --out."
            )
    if out.with_suffix(_PICTURE).exists() and not out.exists():
        raise ConfigurationError(
            f"--out {str(out)!r}: its picture would write over {out.with_suffix(_PICTURE)}: choose another --out."
        )


def _read(files: tuple[Path, ...], sampling: float | None) -> list[Frames]:
    from framedose.files import read

    if not files:
        raise ConfigurationError("Name at least one file with vacuum frames.")
    return [read(path, sampling=sampling) for path in files]


def _doses(text: str | None, frames: Recorded) -> list[float] | None:
    if text is None:
        return None
    if text == "metadata":
        if None in frames.doses:
            raise ConfigurationError("--dose metadata: the files do not say the dose of every frame; give the numbers.")
        return [dose for dose in frames.doses if dose is not None]
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigurationError(
            f"--dose must be a number of e/Å2, numbers separated by commas, or metadata, got {text!r}."
        ) from None


def _mtf(name: str) -> Callable[[Floats], Floats]:
    from framedose.camera.passport import load_passport

    curve: Callable[[Floats], Floats] = load_passport(name).mtf.curve
    return curve
