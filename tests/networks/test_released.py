"""The weights that are released beside the package load, and see a particle in fringes and none in noise."""

from pathlib import Path

import numpy as np
import pytest

from framedose.networks.weights import load_network
from framedose.random import generator

WEIGHTS = sorted((Path(__file__).parents[2] / "weights").glob("*.safetensors"))


def test_networks_are_released():
    assert [path.stem for path in WEIGHTS] == ["msdnet-laptop-low", "msdnet-laptop", "unet-laptop"]


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_released_weights_see_fringes_and_nothing_in_noise(path):
    network = load_network(path)
    assert network.metadata.area_interval is not None
    provenance = network.metadata.provenance
    assert provenance["steps"] >= (2000 if provenance.get("started_from") else 4500)
    y, x = np.mgrid[:128, :128] * 0.3
    disc = np.hypot(y - 19, x - 19) < 9
    fringes = 0
    for spacing, angle in ((2.355, 54.74), (2.355, -54.74), (2.039, 0.0)):
        q = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))]) / spacing
        fringes = fringes + 0.1 * np.cos(2 * np.pi * (q[0] * y + q[1] * x))
    noise = generator(0, "frame").normal(size=(2, 128, 128)) * 0.05
    frames = (1 + noise + np.stack([disc * (fringes - 0.03), 0 * fringes])).astype(np.float32)
    found = network.probability(frames) >= 0.9
    assert found[1].mean() < 0.005
    assert found[0][disc].mean() > 0.5
    assert found[0][~disc].mean() < 0.02
