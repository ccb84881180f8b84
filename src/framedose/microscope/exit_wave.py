"""The exit wave of a specimen, by abTEM's multislice algorithm: the expensive part, reused for many images."""

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from pydantic import Field, model_validator
from scipy.fft import next_fast_len

from framedose.config import Settings
from framedose.microscope.optics import fourier_resample

Device = Literal["cpu", "cuda"]


class ExitWaveConfig(Settings):
    """How exit waves are computed and stored."""

    energy: float = Field(300e3, gt=0)
    """Energy of the electrons [eV]."""
    sampling: float = Field(0.09, gt=0, le=0.25)
    """Largest sampling of the multislice grid [Å/px]; its antialias limit is a third of the inverse."""
    slice_thickness: float = Field(1.0, gt=0, le=2.0)
    """Thickness of a slice [Å]."""
    band_limit: float = Field(3.5, gt=0)
    """Highest spatial frequency that is stored [1/Å]."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        limit = 1 / (3 * self.sampling)
        if self.band_limit > limit + 1e-9:
            raise ValueError(
                f"band_limit {self.band_limit} 1/Å exceeds the antialias limit {limit:.3f} 1/Å of sampling "
                f"{self.sampling} Å: lower one of them"
            )
        return self

    def stored_gpts(self, extent: float) -> int:
        """Return the pixels per side of a stored wave of side ``extent`` [Å]."""
        return int(next_fast_len(2 * int(np.ceil(self.band_limit * extent)) + 1, real=True))


def exit_wave(atoms: Atoms, config: ExitWaveConfig, device: Device = "cpu") -> npt.NDArray[np.complex64]:
    """Compute the wave behind a specimen, for a plane wave of unit intensity.

    Lobato potentials, infinite projection. The wave is computed on a grid of at most ``config.sampling`` and returned
    Fourier-cropped to ``config.band_limit``, which loses nothing below that frequency.

    Parameters
    ----------
    atoms
        A specimen in a cell that is square in (x, y), the beam along z.
    config
        Energy, grid and band limit.
    device
        ``"cpu"``, or ``"cuda"`` for abTEM's calculation through CuPy. Only the CPU's waves are the same bits anywhere.

    Returns
    -------
    array
        Complex wave, shape (y, x), on ``config.stored_gpts(extent)`` pixels per side over the whole cell.
    """
    import abtem

    extent = float(atoms.cell[0, 0])
    gpts = int(next_fast_len(int(np.ceil(extent / config.sampling)), real=True))
    # An estimated FFTW plan is the same in every process; a measured one is not, and then neither are the last bits.
    fftw = {"fft": "fftw", "fftw.planning_effort": "FFTW_ESTIMATE", "fftw.threads": 1}
    target = {"device": "gpu" if device == "cuda" else "cpu"}
    with abtem.config.set({**fftw, **target, "diagnostics.progress_bar": False, "precision": "float32"}):
        potential = abtem.Potential(
            atoms, gpts=(gpts, gpts), slice_thickness=config.slice_thickness, parametrization="lobato"
        )
        wave = abtem.PlaneWave(energy=config.energy).multislice(potential, lazy=False).to_cpu()
    # abTEM indexes (x, y); everything of ours indexes (y, x). This is the one place where that changes.
    cropped = fourier_resample(np.ascontiguousarray(wave.array.T), config.stored_gpts(extent))
    return np.asarray(cropped, dtype=np.complex64)
