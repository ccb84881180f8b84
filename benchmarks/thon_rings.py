"""What the defocus that Thon rings show is worth: found beside drawn, on simulated datasets.

One dataset within the defocus of the preset general, one outside. The last line is JSON: of each dataset the images,
how many show rings, and the share of these that are within 15 % of the truth.

    framedose simulate --preset general --seed 77 --gpts 512 --structures 20 --validation_structures 1 \
        --image_epochs 5 --specimen.lean.high 0 --specimen.grain_share 0 --specimen.powder_share 0 --out near
    framedose simulate --preset general --seed 77 --gpts 512 --structures 20 --validation_structures 1 \
        --image_epochs 5 --specimen.lean.high 0 --specimen.grain_share 0 --specimen.powder_share 0 \
        --conditions.defocus.low 400 --conditions.defocus.high 4000 --out far
    python benchmarks/thon_rings.py near far
"""

import argparse
import json
from pathlib import Path

import numpy as np

from framedose.dataset.folder import IMAGES
from framedose.dataset.store import ImageSet
from framedose.inference.thon_rings import thon_defocus
from framedose.study.training import TrainingData

CLOSE = 0.15


def main() -> None:
    """Print a line for every image with rings, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="+", type=Path, help="folders of framedose simulate")
    result = {}
    for folder in parser.parse_args().dataset:
        energy = TrainingData.of(folder).recipe.exit_wave.energy
        images = ImageSet(folder / IMAGES, "train")
        errors = []
        for place in np.ndindex(images.shape[:2]):
            truth, dose, sampling = (float(images.conditions[key][place]) for key in ("defocus", "dose", "sampling"))
            found = thon_defocus(images.load(*place)[0], sampling, energy)
            if found is not None:
                print(f"{folder}: {found:5.0f} Å where {truth:5.0f} was drawn, at {dose:.0f} e/Å2")
                errors.append(abs(found - abs(truth)) / abs(truth))
        close = float(np.mean(np.array(errors) < CLOSE)) if errors else None
        result[str(folder)] = {
            "images": int(np.prod(images.shape[:2])),
            "with_rings": len(errors),
            "close": close,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
