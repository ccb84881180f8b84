"""What specimens are made of."""

from dataclasses import replace
from typing import Self

from ase import Atoms
from pydantic import Field, ValidationInfo, model_validator

from framedose.config import Range, Settings, is_made
from framedose.specimen.crystal import Miller, orientation
from framedose.specimen.nanoparticle import LATTICES, Lattice, lattice_of, unit_cell
from framedose.specimen.support import Support, find_support

# Smaller particles have too few atoms for an outline [Å].
_SMALLEST_RADIUS = 3.0
# Smaller crystallites of an oxide have no facets [Å].
_SMALLEST_CRYSTALLITE = 8.0
# A surface that leans more is nearer to plan view than to profile [degree].
_STEEPEST = 60.0


class SpecimenConfig(Settings):
    """What the specimens are: the paper's supported Au particles by default."""

    structures: str | None = None
    """Structures of your own: a file, or a pattern such as ``clusters/*.xyz``, of any kind that ASE reads, the beam
    along z, one structure in a file. They are tilted, turned, placed, and may get a film; the rest is not used then."""
    mask_elements: tuple[str, ...] = ()
    """In structures of your own, the elements that are particle."""
    mask_indices: tuple[int, ...] = ()
    """In structures of your own, the indices of the atoms that are particle, in place of elements."""
    element: str = "Au"
    """Metal of the particles."""
    lattice: str | None = None
    """Lattice of the particles: fcc, bcc, hcp, diamond or sc; the element's own if none is given."""
    lattice_constant: float | None = Field(None, gt=0)
    """Lattice constant of the particles [Å]; ASE's reference if none is given, 4.08 for Au."""
    strain: Range = Range(low=0.0, high=0.0)
    """Relative change of all lengths in a particle."""
    radius: Range = Range(low=10.0, high=30.0)
    """Distance of the first family of facets ({111} of fcc) from a particle's centre [Å]."""
    facet_variation: float = Field(0.2, ge=0, lt=1)
    """Relative half width of the distances of the single facets."""
    twinned_share: float = Field(0.0, ge=0, le=1)
    """Share of the particles with one to three parallel twin planes (111), which real ones of fcc metals often have."""
    zone_axis: Miller | None = None
    """Zone axis [uvw] of the particle along the beam; [110] for fcc."""
    interface: Miller | None = None
    """Plane (hkl) of the particle on the support, which holds the zone axis; (1-11) for fcc."""
    max_particles: int = Field(1, ge=1)
    """Particles of a field: any number from one to this that finds place."""
    support: str = "CeO2"
    """CeO2, TiO2 (rutile), MgO, the path of a CIF, or none."""
    support_lattice_constant: float | None = Field(None, gt=0)
    """Lattice constant a of the support [Å], which scales its cell; the known one if none is given."""
    support_zone_axis: Miller | None = None
    """Zone axis [uvw] of the support along the beam; [110] for CeO2."""
    support_plane: Miller | None = None
    """Plane (hkl) that the support ends on; (1-11) for CeO2."""
    free_share: float = Field(0.0, ge=0, le=1)
    """Share of the fields without the crystalline support; their particles have any orientation and are not cut."""
    thickness: Range = Range(low=20.0, high=50.0)
    """Extent of the support along the beam [Å], in plan view too."""
    gap: Range = Range(low=2.2, high=2.6)
    """Distance between the last plane of the support and the first of the particle [Å]."""
    on_zone_share: float = Field(1.0, ge=0, le=1)
    """Share of the supported fields in which particle and support have their planes at the interface and their zone
    axes in it, along the beam in profile; in the others both crystals have any orientation."""
    plan_view_share: float = Field(0.0, ge=0, le=1)
    """Share of the supported fields in plan view: particles before or behind a plate of the support, its surface across
    the beam, with an edge anywhere beyond them. The others are in profile, their interface along the beam."""
    lean: Range = Range(low=0.0, high=0.0)
    """Angle between the surface of a support in profile and the beam [degree], to either side: the support ends in a
    wedge, its particles lie partly before or behind it, and zone axes stay along the beam."""
    grain_share: float = Field(0.0, ge=0, le=1)
    """Share of the supported fields with a second grain of the support, of any orientation, before or behind everything
    else, which ends at an edge anywhere."""
    powder_share: float = Field(0.0, ge=0, le=1)
    """Share of the supported fields in which the support is a heap of whole crystallites, as in a powder: the first
    particle's host in profile where it is on the zone axis, everything else in any orientation. ``thickness``,
    ``lean``, ``plan_view_share`` and ``grain_share`` are those of the other fields."""
    crystallite: Range = Range(low=25.0, high=60.0)
    """Distance of the first family of facets from the centre of a crystallite [Å]."""
    max_crystallites: int = Field(4, ge=1)
    """Crystallites of a heap: any number from one to this, as long as they are no more than 200 Å deep."""
    max_tilt: float = Field(3.0, ge=0, le=20)
    """Largest tilt of the specimen off the zone axis [degree]."""
    film: Range = Range(low=20.0, high=50.0)
    """Thickness of a film of amorphous carbon before everything else along the beam, with an edge anywhere [Å]."""
    film_density: float = Field(2.0, gt=0, le=2.6)
    """Density of the film [g/cm3]."""
    film_share: float = Field(0.0, ge=0, le=1)
    """Share of the fields that have the film."""
    whole: bool = True
    """The first particle lies in the view as a whole, as ``mask_fraction`` and ``field_diameters`` demand; if false,
    its centre does, whatever its size."""
    mask_fraction: Range = Range(low=0.05, high=0.40)
    """Share of the view that the first particle's mask may take, where it must be whole."""
    field_diameters: float = Field(1.5, gt=0)
    """Least width of the view over the largest width of the first particle, where it must be whole."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        for name in ("thickness", "gap", "film"):
            if getattr(self, name).low <= 0:
                raise ValueError(f"{name}.low must be positive, got {getattr(self, name).low}")
        if self.radius.low < _SMALLEST_RADIUS:
            raise ValueError(f"radius.low must be at least {_SMALLEST_RADIUS:g} Å, got {self.radius.low}")
        if self.crystallite.low < _SMALLEST_CRYSTALLITE:
            raise ValueError(
                f"crystallite.low must be at least {_SMALLEST_CRYSTALLITE:g} Å, got {self.crystallite.low}"
            )
        if self.structures is not None and bool(self.mask_elements) == bool(self.mask_indices):
            raise ValueError("structures need mask_elements or mask_indices, one of them, to say what is particle")
        if not 0 <= self.lean.low <= self.lean.high <= _STEEPEST:
            raise ValueError(
                f"lean must lie within 0 and {_STEEPEST:g} degrees, got {self.lean.low} to {self.lean.high}"
            )
        if self.strain.low <= -0.5 or self.strain.high >= 0.5:
            raise ValueError(f"strain must lie within 0.5 of zero, got {self.strain.low} to {self.strain.high}")
        if self.twinned_share and lattice_of(self.element, self.lattice) != "fcc":
            raise ValueError(f"twinned_share needs an fcc metal, {self.element} is none: set it to 0")
        orientation(self.unit_cell(), self.crystal().zone, self.crystal().interface)
        # Of a dataset that is made already, the file of a support may lie elsewhere.
        if not is_made(info) and (support := self.crystal_support()) and self.powder_share:
            support.shape()
        return self

    def crystal(self) -> Lattice:
        """Return the facets, zone axis and interface of the particles."""
        usual = LATTICES[lattice_of(self.element, self.lattice)]
        return replace(usual, zone=self.zone_axis or usual.zone, interface=self.interface or usual.interface)

    def unit_cell(self, strain: float = 0.0) -> Atoms:
        """Return the unit cell of the particles."""
        return unit_cell(self.element, self.lattice, self.lattice_constant, strain)

    def crystal_support(self) -> Support | None:
        """Return the crystalline support, or None."""
        if self.support == "none":
            return None
        return find_support(self.support, self.support_lattice_constant, self.support_zone_axis, self.support_plane)
