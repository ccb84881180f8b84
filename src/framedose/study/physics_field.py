"""One test structure for the physics curves: expected images with and without its particle, and all scores of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.stats import norm

from framedose.atomic import write_aside, write_json
from framedose.camera.noise import detect, sum_pixels
from framedose.config import Settings
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds
from framedose.dataset.render import expected_field, make_specimen, mask_of
from framedose.evaluation.physics.counts import count_separation
from framedose.evaluation.physics.frames import FrameModel
from framedose.evaluation.physics.prewhitening import frame_d_prime, frame_separation, patch_d_primes
from framedose.evaluation.physics.task import (
    TemplateBank,
    log_evidence,
    log_evidences,
    particle_probability,
    template_bank,
)
from framedose.evaluation.summary import DoseGrid
from framedose.microscope.conditions import Conditions
from framedose.microscope.exit_wave import exit_wave
from framedose.microscope.optics import wave_spectrum
from framedose.random import generator
from framedose.specimen.mask import PARTICLE
from framedose.units import electrons_per_pixel

Image = npt.NDArray[np.float32]
# A known signal is found at far less dose than an unknown one: its doses start so much lower, and are this dense.
_KNOWN_FROM, _PER_DECADE = 0.01, 16


class PhysicsConfig(Settings):
    """How the physics curves are computed."""

    templates: int = Field(default=200, ge=2)
    """Particles of the averaged observer's prior, none of them in the test series."""
    doses: DoseGrid = DoseGrid(low=1.0, high=1e4, count=17)
    """Frame doses of the averaged observer."""
    frames: int = Field(default=2, ge=1)
    """Frames of each structure at each dose."""
    null_frames: int = Field(default=5, ge=1)
    """Frames of each structure's bare support at each dose; one of vacuum is added."""
    found: float = Field(default=0.95, gt=0, lt=1)
    """Share of the particles that has to be found."""
    false_share: float = Field(default=0.01, gt=0, lt=1)
    """Share of the fields without a particle that may be called one."""
    patch: float = Field(default=5.0, gt=0)
    """Side of the patch [Å] that is to be told right in 95 % of the cases."""
    amplitudes: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Contrasts of the templates, for particles that none of them matches well."""
    prior: float = Field(default=0.5, gt=0, lt=1)
    """Share of fields with a particle that the averaged observer expects."""

    def known_doses(self) -> npt.NDArray[np.float64]:
        """Return the frame doses [e/Å2] at which known signals are scored."""
        low = _KNOWN_FROM * self.doses.low
        return np.geomspace(low, self.doses.high, round(_PER_DECADE * np.log10(self.doses.high / low)) + 1)


@dataclass(frozen=True)
class FieldTask:
    """What the physics curves of one series are computed from; a task for any process."""

    folder: Path
    """Where templates and scores are kept."""
    recipe: DatasetRecipe
    split: Split
    seed: int
    config: PhysicsConfig
    threshold: float
    """A pixel is particle where its probability is at least this."""

    @property
    def bank_split(self) -> Split:
        """The structures of the templates, drawn from streams of their own."""
        return Split("templates", make_kinds(self.config.templates, 0, 0), 1)

    def template_path(self, index: int) -> Path:
        """Return the file of one template."""
        return self.folder / f"template-{index}.npz"

    def score_path(self, index: int) -> Path:
        """Return the file of one structure's scores."""
        return self.folder / f"structure-{index}.json"

    def make_template(self, index: int) -> None:
        """Compute the exit waves of one template and keep them."""
        arrays: dict[str, Any] = _waves(self.recipe, self.seed, self.bank_split, index)
        with write_aside(self.template_path(index)) as aside:
            np.savez(aside, **arrays)

    def score(self, index: int) -> None:
        """Compute all scores of one test structure and keep them."""
        recipe, conditions = self.recipe, self.split.conditions(self.recipe, self.seed, index, 0)
        camera = self.split.camera(recipe, self.seed, index, 0)
        pair = _images(recipe, conditions, _waves(recipe, self.seed, self.split, index))
        model = FrameModel(camera, (recipe.image_size,) * 2, recipe.binning, recipe.margin)
        known = _known(model, pair, conditions.sampling, self.config)
        # The networks' frames are normalised, and so are the averaged observer's.
        bank = self._bank(replace(model, level_known=False), conditions.sampling)
        each = [self._at_dose(bank, pair, conditions.sampling, index, dose) for dose in self.config.doses.values()]
        task = {key: np.stack([found[key] for found in each], axis=-1).tolist() for key in each[0]}
        write_json(
            self.score_path(index),
            {"known": known, "task": task, "truth": int(pair.mask.sum()), "support": pair.supported},
        )

    def _bank(self, model: FrameModel, sampling: float) -> TemplateBank:
        masks = np.empty((self.config.templates, *model.shape), dtype=bool)

        def differences() -> Iterator[Image]:
            for k in range(self.config.templates):
                drawn = self.bank_split.conditions(self.recipe, self.seed, k, 0)
                # Camera and pixel size of a frame are known to whoever took it; the rest is not.
                with np.load(self.template_path(k)) as waves:
                    pair = _images(self.recipe, drawn.model_copy(update={"sampling": sampling}), dict(waves))
                masks[k] = pair.mask
                yield pair.with_particle - pair.without

        # The masks are filled while the differences are made.
        return template_bank(model, differences(), masks, amplitudes=self.config.amplitudes)

    def _at_dose(
        self, bank: TemplateBank, pair: "_Pair", sampling: float, index: int, dose: float
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the scores at one dose: particles first, then bare supports, then vacuum."""
        config, model, electrons = self.config, bank.model, electrons_per_pixel(dose, sampling)
        vacuum = np.ones_like(pair.without)
        shown = [pair.with_particle] * config.frames + [pair.without] * config.null_frames + [vacuum]
        rngs = (generator(self.seed, "physics", self.split.name, index, f"{dose:g}", i) for i in range(len(shown)))
        frames = [_frame(image, electrons, model, rng) for image, rng in zip(shown, rngs, strict=True)]
        expected = [pair.without] * (len(shown) - 1) + [vacuum]
        residuals = np.stack(
            [frame - model.expected(image, electrons) for frame, image in zip(frames, expected, strict=True)]
        ).astype(np.float32)
        mean = float(pair.without.mean())
        evidences = log_evidences(residuals, bank, electrons, mean=mean)
        scores, half = log_evidence(evidences), log_evidence(evidences[:, : len(bank) // 2])
        segmented = [0, config.frames, len(shown) - 1]
        probability = particle_probability(
            residuals[segmented], bank, electrons, evidences[segmented], prior=config.prior, mean=mean
        )
        found = probability >= self.threshold
        return {
            "scores": scores[: config.frames],
            "null": scores[config.frames :],
            "half_scores": half[: config.frames],
            "half_null": half[config.frames :],
            "predicted": found.sum(axis=(1, 2)),
            "true_positive": (found[0] & pair.mask).sum(),
        }


@dataclass(frozen=True, eq=False)
class _Pair:
    """Expected images (y, x) of a field with its margin, at camera pixels, and its mask at those of the frames."""

    with_particle: Image
    without: Image
    mask: npt.NDArray[np.bool_]
    supported: bool


def _waves(recipe: DatasetRecipe, seed: int, split: Split, index: int) -> dict[str, npt.NDArray[Any]]:
    """Return the exit waves of a specimen and of the same without its particles, and the particles' hulls."""
    specimen = make_specimen(recipe, seed, split, index)
    arrays: dict[str, Any] = {f"hull{i}": hull for i, hull in enumerate(specimen.hulls)}
    kinds = {"with": specimen.atoms, "without": specimen.bare()}
    for name, atoms in kinds.items():
        # Nothing but vacuum is left of a free particle.
        if len(atoms):
            arrays[name] = exit_wave(atoms, recipe.exit_wave, generator(seed, "phonons", split.name, index))
    return arrays


def _images(recipe: DatasetRecipe, conditions: Conditions, arrays: dict[str, npt.NDArray[Any]]) -> _Pair:
    spectra = [wave_spectrum(arrays[name]) if name in arrays else None for name in ("with", "without")]
    one, zero = (expected_field(recipe, conditions, spectrum) for spectrum in spectra)
    hulls = [array for name, array in arrays.items() if name.startswith("hull")]
    return _Pair(one, zero, mask_of(recipe, conditions.sampling, hulls, ()) == PARTICLE, "without" in arrays)


def _frame(image: Image, electrons: float, model: FrameModel, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return one frame as the dataset makes them, in electrons."""
    frame = detect(image, electrons, model.camera, rng)
    (y, x), m = model.detected, model.margin
    return np.asarray(sum_pixels(frame[m : y - m, m : x - m], model.binning), dtype=np.float64)


def _known(model: FrameModel, pair: _Pair, sampling: float, config: PhysicsConfig) -> dict[str, Any]:
    """Return the curves of the observers that know the signal exactly, over ``config.known_doses()``."""
    electrons = config.known_doses() * sampling**2
    (y, x), m = model.detected, model.margin
    one, zero = (image[m : y - m, m : x - m] for image in (pair.with_particle, pair.without))
    mean = float((one.mean() + zero.mean()) / 2)
    difference = pair.with_particle.astype(np.float64) - pair.without
    counts = count_separation(one, zero, electrons)
    frames = frame_separation(frame_d_prime(model, difference, electrons, mean=mean))
    side = max(1, round(config.patch / (sampling * model.binning)))
    patches = patch_d_primes(model, difference, pair.mask, side, electrons, mean=mean)
    return {
        "counts": {"d_prime": counts.d_prime.tolist(), "reached": counts.found(config.false_share).tolist()},
        "frames": {"d_prime": frames.d_prime.tolist(), "reached": frames.found(config.false_share).tolist()},
        # The nearest hypothesis is right with Phi(d' / 2).
        "patch": {
            "d_prime": np.median(patches, axis=0).tolist(),
            "reached": norm.cdf(patches / 2).mean(axis=0).tolist(),
        }
        if len(patches)
        else None,
    }
