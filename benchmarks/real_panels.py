"""F1 of the shipped networks on real Au and Ag panels that were labelled by hand and never trained on.

The panels (8 bit, resampled pictures out of notebooks, particles on carbon) come from
github.com/ScottLabUCB/HRTEM-Generalization. Their folder ``scottlab_hrtem_generalization`` is looked for in
FRAMEDOSE_REAL_DATA, else in ``../shared/data`` beside the project. The last line is JSON.

    python benchmarks/real_panels.py --out real-panels
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from framedose.files import read
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.networks.weights import SHIPPED, load_network

# Å/px of the panels as they are, from their description: the Ag ones were drawn larger.
SAMPLING = {"Au": 0.77, "Ag": 0.504}
THRESHOLDS = (0.9, 0.5)


def main() -> None:
    """Print F1 for every panel, network and threshold, and draw the outlines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(SHIPPED), help="shipped names or weights files")
    parser.add_argument("--out", type=Path, default=Path("real-panels"), help="folder for the pictures")
    arguments = parser.parse_args()

    here = Path(__file__).parents[1]
    data = Path(os.environ.get("FRAMEDOSE_REAL_DATA", here.parent / "shared" / "data"))
    labels = sorted((data / "scottlab_hrtem_generalization").glob("*_label.png"))
    if not labels:
        parser.exit(1, f"no labelled panels in {data}: set FRAMEDOSE_REAL_DATA to the folder of the real data\n")
    arguments.out.mkdir(parents=True, exist_ok=True)
    networks = [load_network(name) for name in arguments.network]

    columns = [(network, threshold) for network in networks for threshold in THRESHOLDS]
    print(
        "panel".ljust(12), *(f"{network.name} {threshold}".rjust(12) for network, threshold in columns), "all particle"
    )
    scores = np.empty((len(labels), len(columns) + 1))
    for row, label in enumerate(labels):
        name = label.stem.removesuffix("_label")
        micrograph = read(label.with_name(f"{name}.png"), sampling=SAMPLING[name[:2]])[0]
        truth = read(label, sampling=1.0)[0].image > 0
        masks = [segment(micrograph, network, threshold=threshold).mask for network, threshold in columns]
        scores[row] = [overlap(mask, truth).f1 for mask in (*masks, np.ones_like(truth))]
        print(name.ljust(12), *(f"{score:12.3f}" for score in scores[row]))
        titles = [
            f"{network.name}, {threshold}: F1 {score:.2f}"
            for (network, threshold), score in zip(columns, scores[row], strict=False)
        ]
        draw(arguments.out / f"{name}.png", micrograph.image, truth, masks, titles)
    means = scores.mean(axis=0)
    print("mean".ljust(12), *(f"{mean:12.3f}" for mean in means))
    result = {
        f"{network.name}_{threshold}": round(mean, 4)
        for (network, threshold), mean in zip(columns, means, strict=False)
    }
    print(json.dumps({"panels": len(labels), "f1": result, "f1_all_particle": round(means[-1], 4)}))


def draw(path: Path, image: np.ndarray, truth: np.ndarray, masks: list[np.ndarray], titles: list[str]) -> None:
    """Draw each mask in cyan and the hand label in yellow on the image, side by side."""
    figure = Figure(figsize=(3.2 * len(masks), 3.5), layout="constrained")
    for axes, mask, title in zip(figure.subplots(1, len(masks)), masks, titles, strict=True):
        axes.imshow(image, cmap="gray")
        for outlined, colour in ((truth, "yellow"), (mask, "cyan")):
            if outlined.any() and not outlined.all():
                axes.contour(outlined, levels=[0.5], colors=colour, linewidths=1)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
