"""The exit wave of a specimen, by abTEM's multislice algorithm: the expensive part, reused for many images."""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers
from pydantic import Field, model_validator
from scipy.fft import next_fast_len

from framedose.config import Settings
from framedose.microscope.optics import fourier_resample
from framedose.microscope.thermal import displaced, displacements

Device = Literal["cpu", "cuda"]


class ExitWaveConfig(Settings):
    """How exit waves are computed and stored."""

    energy: float = Field(300e3, ge=1e4)
    """Energy of the electrons [eV]: 300 keV is 300e3."""
    sampling: float = Field(0.09, gt=0, le=0.25)
    """Largest sampling of the multislice grid [Å/px]; its antialias limit is a third of the inverse."""
    slice_thickness: float = Field(1.0, gt=0, le=2.0)
    """Thickness of a slice [Å]."""
    band_limit: float = Field(3.5, gt=0)
    """Highest spatial frequency that is stored [1/Å]."""
    displacement: dict[str, float] = Field(default_factory=dict)
    """Root mean square thermal displacement along each direction [Å], by element; atoms rest by default."""
    configurations: int = Field(0, ge=0)
    """Configurations of frozen phonons, each with its own wave, whose intensities are to be averaged; with 0 the
    displacement damps the potentials (Debye-Waller), which leaves thermal diffuse scattering out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        limit = 1 / (3 * self.sampling)
        if self.band_limit > limit + 1e-9:
            raise ValueError(
                f"band_limit {self.band_limit} 1/Å exceeds the antialias limit {limit:.3f} 1/Å of sampling "
                f"{self.sampling} Å: lower one of them"
            )
        for element, value in self.displacement.items():
            if element not in atomic_numbers or value < 0:
                raise ValueError(
                    f"displacement must give elements a length of at least 0 Å, got {element!r}: {value}; "
                    "write for example {'Au': 0.09}"
                )
        if self.configurations and not self.displacement:
            raise ValueError(
                f"configurations {self.configurations} of atoms at rest are all the same: set displacement"
            )
        return self

    def stored_gpts(self, extent: float) -> int:
        """Return the pixels per side of a stored wave of side ``extent`` [Å]."""
        return int(next_fast_len(2 * int(np.ceil(self.band_limit * extent)) + 1, real=True))

    def stored_shape(self, extent: float) -> tuple[int, ...]:
        """Return the shape of what is stored of one specimen: (y, x), or (configurations, y, x)."""
        gpts = self.stored_gpts(extent)
        return (self.configurations, gpts, gpts) if self.configurations else (gpts, gpts)


def exit_wave(
    atoms: Atoms, config: ExitWaveConfig, rng: np.random.Generator | None = None, device: Device = "cpu"
) -> npt.NDArray[np.complex64]:
    """Compute the wave behind a specimen, for a plane wave of unit intensity.

    Lobato potentials, infinite projection. The wave is computed on a grid of at most ``config.sampling`` and returned
    Fourier-cropped to ``config.band_limit``, which loses nothing below that frequency.

    Parameters
    ----------
    atoms
        A specimen in a cell that is square in (x, y), the beam along z.
    config
        Energy, grid, band limit and thermal motion.
    rng
        Source of the displacements of frozen phonons.
    device
        ``"cpu"``, or ``"cuda"`` for abTEM's calculation through CuPy. Only the CPU's waves are the same bits anywhere.

    Returns
    -------
    array
        Complex wave on ``config.stored_gpts(extent)`` pixels per side over the whole cell: shape (y, x), or
        (configurations, y, x) for frozen phonons, whose image is the mean of their intensities.

    Raises
    ------
    ValueError
        If ``config`` wants frozen phonons and there is no ``rng``.
    ConfigurationError
        If an element of the specimen is missing in ``config.displacement``.
    """
    if not config.configurations:
        return _multislice(atoms, config, config.displacement, device)
    if rng is None:
        raise ValueError(f"rng must be a generator for {config.configurations} configurations of frozen phonons.")
    moved = (displaced(atoms, config.displacement, rng) for _ in range(config.configurations))
    return np.stack([_multislice(configuration, config, {}, device) for configuration in moved])


def _multislice(
    atoms: Atoms, config: ExitWaveConfig, damped: dict[str, float], device: Device
) -> npt.NDArray[np.complex64]:
    import abtem

    extent = float(atoms.cell[0, 0])
    gpts = int(next_fast_len(int(np.ceil(extent / config.sampling)), real=True))
    # An estimated FFTW plan is the same in every process; a measured one is not, and then neither are the last bits.
    fftw = {"fft": "fftw", "fftw.planning_effort": "FFTW_ESTIMATE", "fftw.threads": 1}
    target = {"device": "gpu" if device == "cuda" else "cpu"}
    with abtem.config.set({**fftw, **target, "diagnostics.progress_bar": False, "precision": "float32"}):
        potential = abtem.Potential(
            atoms, gpts=(gpts, gpts), slice_thickness=config.slice_thickness, parametrization=_lobato(atoms, damped)
        )
        wave = abtem.PlaneWave(energy=config.energy).multislice(potential, lazy=False).to_cpu()
    # abTEM indexes (x, y); everything of ours indexes (y, x). This is the one place where that changes.
    cropped = fourier_resample(np.ascontiguousarray(wave.array.T), config.stored_gpts(extent))
    return np.asarray(cropped, dtype=np.complex64)


def _lobato(atoms: Atoms, damped: dict[str, float]) -> Any:
    """Return the potentials of abTEM, with their Debye-Waller factors where the atoms move."""
    if not damped:
        return "lobato"
    from abtem.parametrizations import LobatoParametrization

    displacements(atoms, damped)
    return LobatoParametrization(sigmas=damped)
