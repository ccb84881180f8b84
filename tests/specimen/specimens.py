"""Small specimens that the tests build."""

from framedose.config import Range
from framedose.random import generator
from framedose.specimen.assembly import build_specimen
from framedose.specimen.config import SpecimenConfig

VIEW, EXTENT = (35.84, 40.96), 51.0
SMALL = SpecimenConfig(radius=Range(low=6, high=12.5))
VARIED = SpecimenConfig(
    radius=Range(low=6, high=12),
    max_particles=5,
    free_share=0.4,
    on_zone_share=0.5,
    film_share=0.5,
    film=Range(low=8, high=12),
    thickness=Range(low=10, high=15),
    whole=False,
)


def specimen(index, config=SMALL, kind="particle"):
    return build_specimen(config, VIEW, EXTENT, generator(0, "test", index), kind)
