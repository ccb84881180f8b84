import pytest

from framedose.config import Range
from framedose.dataset.recipe import DatasetRecipe
from framedose.microscope.exit_wave import ExitWaveConfig
from framedose.specimen.config import SpecimenConfig


@pytest.fixture(scope="session")
def tiny_recipe():
    """Five fields of 64 x 64 pixels, cheap to make."""
    return DatasetRecipe(
        structures=3,
        validation_structures=1,
        image_epochs=2,
        vacuum_share=0.34,
        gpts=256,
        margin=16,
        binning=4,
        specimen=SpecimenConfig(radius=Range(low=4, high=6), thickness=Range(low=5, high=8)),
        exit_wave=ExitWaveConfig(sampling=0.2, band_limit=1.6),
    )
