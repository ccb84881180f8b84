"""F1 of networks on simulated specimens that no training set holds, at rising dose, and their false area without one.

F1 of the pixels, its mean and median over structures, and F1 of the particles as a count: found (half of each at
least), missed, and objects of at least 0.5 nm2 that touch none.

Series with the field and pixels of the preset ``general``: specimens as varied as those of its training, in profile on
thin supports; those of the paper, on their zone axis on the support; of these the particles of 2 to 6 nm alone; the
paper's replica of its experiment (A.4); specimens as varied as the first in fields twice as wide, 8 to 11 nm, which
hold more particles as frames of a microscope do; specimens on supports of 50 to 100 Å, all crystalline; such on thin
ones in plan view; on supports of 20 to 100 Å whose surface leans by up to 50 degrees, two fifths of them with a second
grain; on supports of 100 to 200 Å, leaning by up to 10 degrees; on whole crystals of CeO2, octahedra with their corners
cut, 5 to 12 nm wide, turned anyhow; on heaps of them, as in a powder, in fields twice as wide; on two other oxides;
specimens as varied as the first in a microscope of 200 keV without a corrector; and those of the first with drift and
with the aberrations that a corrector leaves. Then the false area on the vacuum of all series together. The last line is
JSON.

    python benchmarks/shipped.py
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import write
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from framedose.config import merged
from framedose.dataset.recipe import DatasetRecipe, Part, Split, make_kinds
from framedose.dataset.render import make_specimen, render
from framedose.dataset.series import named_series
from framedose.evaluation.objects import f1_of_count, false_objects, particles_found
from framedose.metrics import overlap
from framedose.microscope.exit_wave import exit_wave
from framedose.networks.weights import SHIPPED
from framedose.progress import progress
from framedose.random import generator
from framedose.specimen.crystal import any_orientation, orientation
from framedose.specimen.nanoparticle import LATTICES, nanoparticle, unit_cell
from framedose.specimen.support import find_support
from framedose.study.config import study_config
from framedose.study.predictors import Predictor, load_predictor

DOSES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4)
HIGH = 1e3
THRESHOLDS = (0.9, 0.5)
# No preset has this seed.
SEED = 20_000


def main() -> None:
    """Print a table for every series and network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(SHIPPED), help="shipped names or weights files")
    parser.add_argument("--structures", type=int, default=20, help="particles of each series")
    arguments = parser.parse_args()
    networks = [load_predictor(name) for name in arguments.network]
    result = {}
    vacuum: dict[str, list[np.ndarray]] = {network.name: [] for network in networks}
    with TemporaryDirectory() as folder:
        for name, part in series(arguments.structures, Path(folder)).items():
            images, masks, kinds, sizes = made(part, name)
            for network in networks:
                label = f"{name}, {network.name}"
                result[label], false = scored(network, images, masks, kinds, sizes, label)
                vacuum[network.name].append(false * (images.shape[-1] * sizes[kinds == "vacuum"][:, None, None]) ** 2)
    for name, parts in vacuum.items():
        result[f"vacuum of all, {name}"] = pooled(name, np.concatenate(parts))
    print(json.dumps(result))


def pooled(name: str, areas: np.ndarray) -> dict[str, float]:
    """Print and return what is called particle of the vacuum of all series; areas (frames, thresholds + 1, D) [Å2]."""
    *called, whole = areas.sum(axis=0)
    print(f"\nvacuum of all series, {name}: {len(areas)} frames at each dose")
    for threshold, area in zip(THRESHOLDS, called, strict=True):
        print(f"{f'false on vacuum, {threshold}':>24}", *(f"{value:8.5f}" for value in area / whole))
    return {
        f"{threshold}": round(float((area / whole).max()), 5)
        for threshold, area in zip(THRESHOLDS, called, strict=True)
    }


def series(structures: int, folder: Path) -> dict[str, Part]:
    """Return the recipe and the split of each series; a crystal that framedose does not know is put in ``folder``."""
    thin_profile = {
        "plan_view_share": 0.0,
        "thickness": {"high": 50.0},
        "lean": {"high": 0.0},
        "grain_share": 0.0,
        "powder_share": 0.0,
    }
    recipe = changed(study_config("general").dataset, specimen=thin_profile)
    on_zone = {"on_zone_share": 1.0, "free_share": 0.0, "film_share": 0.0, "max_particles": 1}
    papers = changed(recipe, specimen=on_zone)
    kinds = make_kinds(structures, structures // 2, structures // 2)
    # Its particles lie in the view as a whole, which larger ones cannot.
    small = changed(recipe, specimen={"radius": {"high": 15.0}})
    replica, split = named_series("replica", small, structures=structures, supports=structures // 2)
    perovskite = folder / "SrTiO3.cif"
    write(
        perovskite,
        crystal(
            ["Sr", "Ti", "O"],
            [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
            spacegroup=221,
            cellpar=3 * [3.905] + 3 * [90],
        ),
    )
    titanate = {"support": str(perovskite), "support_zone_axis": (0, 0, 1), "support_plane": (1, 0, 0)}
    # Scherzer's defocus for a spherical aberration of 1 mm at 200 keV is 600 Å.
    uncorrected = {
        "cs": {"low": 5e6, "high": 1.2e7},
        "defocus": {"low": 0.0, "high": 1000.0},
        "focal_spread": {"low": 30.0, "high": 60.0},
    }
    residual = {
        name: {"low": 0.0, "high": high}
        for name, high in (("astigmatism", 60.0), ("coma", 1000.0), ("trefoil", 1000.0), ("drift", 1.5))
    }
    return {
        "varied": (recipe, Split("shipped varied", kinds, len(DOSES), DOSES)),
        "on zone": (papers, Split("shipped on zone", kinds, len(DOSES), DOSES)),
        "2 to 6 nm": (
            changed(papers, specimen={"radius": {"low": 10.0}}),
            Split("shipped 2 to 6 nm", kinds, len(DOSES), DOSES),
        ),
        "replica": (replica, Split("shipped replica", split.kinds, len(DOSES), DOSES)),
        "wide fields": (
            changed(recipe, specimen={"max_particles": 10}, gpts=2 * recipe.gpts),
            Split("shipped wide fields", kinds, len(DOSES), DOSES),
        ),
        "thick supports": (
            changed(recipe, specimen={"free_share": 0.0, "thickness": {"low": 50.0, "high": 100.0}}),
            Split("shipped thick supports", kinds, len(DOSES), DOSES),
        ),
        "plan view": (
            changed(recipe, specimen={"free_share": 0.0, "plan_view_share": 1.0}),
            Split("shipped plan view", kinds, len(DOSES), DOSES),
        ),
        "leaning": (
            changed(
                recipe,
                specimen={"free_share": 0.0, "thickness": {"high": 100.0}, "lean": {"high": 50.0}, "grain_share": 0.4},
            ),
            Split("shipped leaning", kinds, len(DOSES), DOSES),
        ),
        "deep supports": (
            changed(
                recipe, specimen={"free_share": 0.0, "thickness": {"low": 100.0, "high": 200.0}, "lean": {"high": 10.0}}
            ),
            Split("shipped deep supports", kinds, len(DOSES), DOSES),
        ),
        "on crystals": (
            changed(
                recipe,
                specimen={"structures": crystals(folder, structures), "mask_elements": ("Au",), "film_share": 0.0},
            ),
            Split("shipped on crystals", kinds, len(DOSES), DOSES),
        ),
        "powder": (
            changed(recipe, specimen={"free_share": 0.0, "powder_share": 1.0}, gpts=2 * recipe.gpts),
            Split("shipped powder", kinds, len(DOSES), DOSES),
        ),
        "on TiO2": (
            changed(recipe, specimen={"free_share": 0.0, "support": "TiO2"}),
            Split("shipped TiO2", kinds, len(DOSES), DOSES),
        ),
        "on SrTiO3": (
            changed(recipe, specimen={"free_share": 0.0} | titanate),
            Split("shipped SrTiO3", kinds, len(DOSES), DOSES),
        ),
        "uncorrected": (
            changed(recipe, conditions=uncorrected, exit_wave={"energy": 2e5}, margin=48),
            Split("shipped uncorrected", kinds, len(DOSES), DOSES),
        ),
        # The very specimens of the first: what differs is the microscope.
        "aberrated": (
            changed(recipe, conditions=residual),
            Split("shipped varied", make_kinds(structures, structures // 2, 0), len(DOSES), DOSES),
        ),
    }


def crystals(folder: Path, count: int) -> str:
    """Write files with a crystal of CeO2 and a particle of Au on one of its {111} faces; return their pattern."""
    support, gold = find_support("CeO2"), unit_cell("Au", None, None)
    # A {111} face lies across y, where a particle has its base.
    upright = orientation(support.unit, support.zone, support.plane)
    for index in range(count):
        rng = generator(SEED, "crystals", index)
        large, small = rng.uniform(25, 60), rng.uniform(8, 25)
        atoms = nanoparticle(support.unit, support.shape(), large, 0.1, upright, rng, cut=False)
        turned = Rotation.from_euler("y", rng.uniform(0, 360), degrees=True).as_matrix() @ upright
        turn = turned if rng.random() < 0.5 else any_orientation(rng)
        metal = nanoparticle(gold, LATTICES["fcc"], small, 0.2, turn, rng, twinned=rng.random() < 0.4)
        x, z = rng.uniform(-0.3, 0.3, 2) * large
        metal.positions += [x, atoms.positions[:, 1].max() + 2.4, z]
        atoms += metal
        atoms.positions = atoms.positions @ any_orientation(rng).T
        write(folder / f"crystal{index}.xyz", atoms)
    return str(folder / "crystal*.xyz")


def changed(recipe: DatasetRecipe, **values: Any) -> DatasetRecipe:
    """Return the recipe with other values."""
    return DatasetRecipe.model_validate(merged(recipe.model_dump(), values))


def made(part: Part, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images (fields, doses, y, x), masks (fields, y, x), kinds and pixel sizes [Å/px] of the fields."""
    recipe, split = part
    images, masks = [], []
    for index in progress(range(len(split.kinds)), total=len(split.kinds), label=label):
        wave, hulls = None, ()
        if split.kinds[index] != "vacuum":
            specimen = make_specimen(recipe, SEED, split, index)
            wave, hulls = exit_wave(specimen.atoms, recipe.exit_wave), specimen.hulls
        pairs = [render(recipe, SEED, split, index, image, wave, hulls) for image in range(split.images)]
        images.append(np.stack([image for image, _ in pairs]).astype(np.float32))
        masks.append(pairs[0][1])
    sizes = [split.sampling(recipe, SEED, index, 0) for index in range(len(split.kinds))]
    return np.stack(images), np.stack(masks), np.array(split.kinds), np.array(sizes)


def scored(
    network: Predictor, images: np.ndarray, masks: np.ndarray, kinds: np.ndarray, sizes: np.ndarray, label: str
) -> tuple[dict[str, float], np.ndarray]:
    """Print F1 of pixels and of the count of particles, and false area, for each dose and threshold; return high doses.

    And of each frame of vacuum what share is called particle, for each threshold, and 1 (frames, thresholds + 1, D).
    """
    particle = kinds == "particle"
    probability = np.stack([network.predict(images[:, dose], sizes) for dose in range(len(DOSES))], axis=1)
    high = np.array(DOSES) >= HIGH
    summary = {}
    print(f"\n{label}: mean over {particle.sum()} particles\n{'dose [e/Å2]':>24}", *(f"{dose:>8g}" for dose in DOSES))
    for threshold in THRESHOLDS:
        found = probability >= threshold
        f1 = np.array(
            [
                [overlap(frame, mask).f1 for frame in frames]
                for frames, mask in zip(found[particle], masks[particle], strict=True)
            ]
        )
        rows = {"F1": f1.mean(axis=0), "median F1": np.median(f1, axis=0)}
        rows["F1 as a count"] = as_count(found[particle], masks[particle], sizes[particle])
        for kind in ("support", "vacuum"):
            if (kinds == kind).any():
                rows[f"false on {kind}"] = found[kinds == kind].mean(axis=(0, 2, 3))
        for name, values in rows.items():
            print(f"{f'{name}, {threshold}':>24}", *(f"{value:8.4f}" for value in values))
            summary[f"{name} {threshold}"] = round(float(values[high].mean()), 4)
    empty = probability[kinds == "vacuum"]
    false = [(empty >= threshold).mean(axis=(2, 3)) for threshold in THRESHOLDS]
    return summary, np.stack([*false, np.ones(empty.shape[:2])], axis=1)


def as_count(found: np.ndarray, masks: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return F1 of particles as a count for each dose (D,): masks found (fields, D, y, x), true (fields, y, x)."""
    return np.array(
        [
            f1_of_count(
                *np.sum([particles_found(mask, truth) for mask, truth in zip(of_dose, masks, strict=True)], axis=0),
                sum(false_objects(*triple) for triple in zip(of_dose, masks, sizes.tolist(), strict=True)),
            )
            for of_dose in np.moveaxis(found, 1, 0)
        ]
    )


if __name__ == "__main__":
    main()
