import os
from pathlib import Path

import pytest
import torch

# Without a GPU its kernels are tested in Triton's interpreter. Triton asks for this when it is imported, which
# lightning-fabric does: so it is said before any test is read.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# The workers of "pytest -n" share the cores: more threads, in them or in the commands that they run, would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data():
    """The folder of real micrographs and instrument files, which is not part of the project."""
    folder = Path(os.environ.get("FRAMEDOSE_REAL_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set FRAMEDOSE_REAL_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """Weights of a very small untrained U-net for 0.3 Å/px; ``bias`` makes it see particle nowhere, or everywhere."""
    from framedose.config import Range
    from framedose.networks.config import UNetConfig
    from framedose.networks.registry import build_network
    from framedose.networks.weights import WeightsMetadata, save_network

    config = UNetConfig(width=2, poolings=1, convolutions=2, kernel=3)
    folder = tmp_path_factory.mktemp("weights")

    def make(bias=0.0):
        network = build_network(config, seed=1)
        with torch.no_grad():
            network.head.bias.fill_(bias)
        path = folder / f"tiny{bias:g}.safetensors"
        metadata = WeightsMetadata(
            network=config,
            sampling=Range(low=0.28, high=0.32),
            dose=Range(low=1e2, high=1e4, scale="log"),
            provenance={},
        )
        save_network(path, network, metadata)
        return path

    return make
