"""The network's own task: is one of many particles in the frame, anywhere, and which pixels does it cover?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.special import expit, logit

from framedose.errors import ImageError
from framedose.evaluation.physics.frames import Floats, FrameModel

# Templates whose maps are in memory at the same time.
_CHUNK = 16
# Templates with less of the posterior than this are left out of the probability map.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True, eq=False)
class TemplateBank:
    """Particles that a frame may show, as the camera would pass them on: the prior of the averaged observer.

    Parameters
    ----------
    model
        The camera and the frames.
    spectra
        Half spectra (K, y, x // 2 + 1) of the difference frames with and without the particle, for one electron on a
        camera pixel of vacuum.
    masks
        Particle masks (K, y, x) at the pixels of the frames.
    shifts
        Which shifts (y, x) of the templates are possible, pixels down and right, periodic; all if None. Those
        possible are equally likely, and so are the templates.
    amplitudes
        Factors of the templates' contrast, equally likely. One below 1 serves particles that no template matches
        well: at (1,) a match of less than a half counts as evidence against any particle at high dose.
    """

    model: FrameModel
    spectra: npt.NDArray[Any]
    masks: npt.NDArray[np.bool_]
    shifts: npt.NDArray[np.bool_] | None = None
    amplitudes: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        if not len(self.spectra) or len(self.spectra) != len(self.masks) or self.masks.shape[1:] != self.model.shape:
            raise ImageError(
                f"A template bank needs at least one template and a mask of {self.model.shape} for each, got "
                f"{len(self.spectra)} templates and masks of {self.masks.shape}."
            )
        if self.shifts is not None and (self.shifts.shape != self.model.shape or not self.shifts.any()):
            raise ImageError(f"shifts must be boolean of shape {self.model.shape} and allow at least one shift.")
        if not self.amplitudes or min(self.amplitudes) <= 0:
            raise ImageError(f"amplitudes must be positive, at least one, got {tuple(self.amplitudes)}.")

    def __len__(self) -> int:
        return len(self.spectra)


def template_bank(
    model: FrameModel,
    differences: Iterable[npt.NDArray[Any]],
    masks: npt.ArrayLike,
    *,
    shifts: npt.NDArray[np.bool_] | None = None,
    amplitudes: Sequence[float] = (1.0,),
) -> TemplateBank:
    """Make a bank from expected images.

    Parameters
    ----------
    model
        The camera and the frames. One with ``level_known=False`` has the network's task: its input is normalised.
    differences
        K expected images with a particle less those without it, (y, x) of ``model.detected``, one after the other.
        Single precision is enough and halves the memory.
    masks, shifts, amplitudes
        As those of :class:`TemplateBank`.
    """
    spectra = [scipy.fft.rfft2(model.transferred(difference)) for difference in differences]
    if not spectra:
        raise ImageError("differences must hold at least one template, got none.")
    return TemplateBank(model, np.stack(spectra), np.asarray(masks, dtype=bool), shifts, amplitudes)


def log_evidences(residuals: npt.ArrayLike, bank: TemplateBank, electrons: float, *, mean: float = 1.0) -> Floats:
    """Return the log evidence of each template in each frame, averaged over shifts and amplitudes.

    For template k at shift s with amplitude a the log likelihood ratio of the prewhitening observer is
    a t_ks - a^2 d_k'^2 / 2, t its statistic (a correlation, so that all shifts come from one FFT). The result is
    log mean_{s, a} exp(a t_ks - a^2 d_k'^2 / 2).

    Parameters
    ----------
    residuals
        Frames less their mean without a particle, shape (frames, y, x) [electrons].
    bank
        The templates.
    electrons
        N_D, electrons on a camera pixel of vacuum.
    mean
        Mean expected intensity, for the shot noise.

    Returns
    -------
    ndarray
        Shape (frames, K). :func:`log_evidence` averages it over templates.
    """
    spectra = _residual_spectra(residuals, bank)
    whitened, squared = _whitened_templates(bank, electrons, mean)
    result = np.empty((len(spectra), len(bank)))
    for start in range(0, len(bank), _CHUNK):
        part = slice(start, start + _CHUNK)
        for row, frame in zip(result, spectra, strict=True):
            row[part] = _log_mean_exp(_log_ratios(bank, frame, whitened[part], squared[part]), axis=(0, 2))
    return result


def log_evidence(evidences: npt.ArrayLike) -> Floats:
    """Return the log evidence of a particle in each frame (frames,): log of the mean over templates (frames, K)."""
    return _log_mean_exp(np.asarray(evidences, dtype=np.float64), axis=(-1,))


def particle_probability(
    residuals: npt.ArrayLike,
    bank: TemplateBank,
    electrons: float,
    evidences: Floats,
    *,
    prior: float = 0.5,
    mean: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Return the posterior probability of particle in each pixel, as a network's output is meant.

    P(pixel | frame) = P(particle | frame) sum_{k, s, a} p(k, s, a | frame) mask_k(pixel - s), the weights p being the
    likelihood ratios of :func:`log_evidences` over their sum, and P(particle | frame) by Bayes' rule from ``prior``.

    Parameters
    ----------
    residuals, bank, electrons, mean
        As those of :func:`log_evidences`.
    evidences
        What that gave for these frames, (frames, K).
    prior
        Share of the frames that have a particle, before one looks.

    Returns
    -------
    ndarray
        float32, shape (frames, y, x), 0..1.
    """
    if not 0 < prior < 1:
        raise ImageError(f"prior must lie between 0 and 1, got {prior}.")
    spectra = _residual_spectra(residuals, bank)
    whitened, squared = _whitened_templates(bank, electrons, mean)
    present = expit(log_evidence(evidences) + logit(prior))
    # The mean over templates is their sum over K, of which each holds this share.
    shares = np.exp(evidences - log_evidence(evidences)[:, None]) / len(bank)
    result = np.empty((len(spectra), *bank.model.shape), dtype=np.float32)
    for i, (frame, share) in enumerate(zip(spectra, shares, strict=True)):
        total = np.zeros_like(spectra[0])
        for k in np.flatnonzero(share > _NEGLIGIBLE):
            ratios = _log_ratios(bank, frame, whitened[k : k + 1], squared[k : k + 1])[:, 0]
            weights = np.zeros(bank.model.shape)
            weights[_allowed(bank)] = np.exp(ratios - ratios.max()).sum(axis=0)
            weights *= share[k] / weights.sum()
            total += scipy.fft.rfft2(weights) * scipy.fft.rfft2(bank.masks[k].astype(np.float64))
        # Rounding of the transforms only.
        result[i] = np.clip(present[i] * scipy.fft.irfft2(total, s=bank.model.shape), 0, 1)
    return result


def _residual_spectra(residuals: npt.ArrayLike, bank: TemplateBank) -> npt.NDArray[Any]:
    residuals = np.asarray(residuals)
    if residuals.ndim != 3 or residuals.shape[1:] != bank.model.shape:
        raise ImageError(f"residuals must have the shape (frames, {bank.model.shape}), got {residuals.shape}.")
    return np.asarray(scipy.fft.rfft2(residuals))


def _whitened_templates(bank: TemplateBank, electrons: float, mean: float) -> tuple[npt.NDArray[Any], Floats]:
    """Return the conjugate prewhitened templates (K, y, x // 2 + 1) and their d'^2 (K,)."""
    noise = bank.model.noise(electrons, mean)
    inverse = np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0).astype(bank.spectra.real.dtype)
    power = bank.spectra.real**2 + bank.spectra.imag**2
    pixels = bank.model.shape[0] * bank.model.shape[1]
    squared = bank.model.over_plane((power * inverse).astype(np.float64)) * electrons**2 / pixels
    return np.conj(bank.spectra) * (inverse * electrons).astype(inverse.dtype), squared


def _log_ratios(
    bank: TemplateBank, frame: npt.NDArray[Any], whitened: npt.NDArray[Any], squared: Floats
) -> npt.NDArray[Any]:
    """Return a t - a^2 d'^2 / 2, shape (amplitudes, templates, allowed shifts)."""
    maps = scipy.fft.irfft2(frame * whitened, s=bank.model.shape)[:, _allowed(bank)]
    return np.stack([a * maps - (a**2 * squared / 2)[:, None] for a in bank.amplitudes])


def _allowed(bank: TemplateBank) -> npt.NDArray[np.bool_]:
    return np.ones(bank.model.shape, dtype=bool) if bank.shifts is None else bank.shifts


def _log_mean_exp(values: npt.NDArray[Any], axis: tuple[int, ...]) -> Floats:
    top = values.max(axis=axis, keepdims=True)
    mean = np.exp(values - top).mean(axis=axis, dtype=np.float64)
    return np.asarray(np.squeeze(top, axis=axis) + np.log(mean), dtype=np.float64)
