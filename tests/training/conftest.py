import pytest
import yaml

from framedose.cli import main

RECIPE = {
    "structures": 5,
    "validation_structures": 2,
    "image_epochs": 2,
    "support_share": 0.2,
    "vacuum_share": 0.2,
    "support_class": True,
    "gpts": 192,
    "margin": 16,
    "binning": 4,
    "conditions": {"dose": {"low": 1e4, "high": 1e5}},
    "specimen": {"radius": {"low": 4.0, "high": 5.0}, "thickness": {"low": 5.0, "high": 8.0}},
    "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A tiny dataset of the command line, 48 x 48 pixels, three classes, with a particle, a support and a vacuum."""
    folder = tmp_path_factory.mktemp("training data")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    assert main(["simulate", str(folder / "recipe.yaml"), "--out", str(folder / "data"), "--workers", "1"]) == 0
    return folder / "data"
