"""The camera passport: what was measured of a camera, as one YAML file that the simulation takes."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, cast

import yaml
from pydantic import Field, model_validator

from framedose.atomic import write_aside
from framedose.camera.mtf import TransferCurve, mtf
from framedose.camera.noise import Camera, CameraRanges
from framedose.cleaning.borders import mean_of_data
from framedose.config import Range, Settings, build, read_yaml
from framedose.errors import CalibrationError, ConfigurationError
from framedose.micrograph import Micrograph

_SHIPPED = files("framedose.camera") / "passports"


class Interval(Settings):
    """A number with its 68 % interval, or with the range of a family of cameras."""

    value: float
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    quantity: str | None = None
    """The product that the data fix, such as ``g F``, where it is not the number itself."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an interval needs low <= value <= high, got {self.low}, {self.value}, {self.high}")
        return self


class Curve(Settings):
    """A measured curve over frequency."""

    frequency: tuple[float, ...]
    """Over the Nyquist frequency."""
    value: tuple[float, ...]
    error: tuple[float, ...] | None = None
    """One standard error."""
    label: str | None = None
    """What it was measured on."""


class PassportMTF(Settings):
    """The MTF: Eq. 1, or a table."""

    c0: Interval | None = None
    """Frequency of half maximum over the Nyquist frequency."""
    c3: Interval | None = None
    """Steepness."""
    floor: float = Field(0.0, ge=0, lt=1)
    """C of Eq. 1."""
    table: TransferCurve | None = None
    """Used in place of c0, c3 and floor."""
    residual_rms: float | None = None
    """Root mean square of table minus Eq. 1, where Eq. 1 was fitted to a table."""
    residual_max: float | None = None
    """Largest deviation of the table from Eq. 1."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.table is None and (self.c0 is None or self.c3 is None):
            raise ValueError("an MTF needs c0 and c3, or a table")
        for name, given in (("c0", self.c0), ("c3", self.c3)):
            if given is not None and given.low <= 0:
                raise ValueError(f"{name}.low must be positive, got {given.low}")
        return self

    def curve(self, frequency: Any) -> Any:
        """Return the MTF at frequencies over the Nyquist frequency, any shape."""
        if self.table is not None or self.c0 is None or self.c3 is None:
            return cast(TransferCurve, self.table).at(frequency)
        return mtf(frequency, self.c0.value, self.c3.value, self.floor)


class Hardware(Settings):
    """How the frames were recorded, as far as it is known."""

    energy: float | None = None
    """eV."""
    pixel_size: float | None = None
    """Side of a physical pixel [µm]."""
    sampling: float | None = None
    """Å/px of the frames."""
    hardware_binning: int | None = None
    """Pixels per side that the camera sums."""
    readout_mode: str | None = None
    frame_time: float | None = None
    """s."""


class CameraPassport(Settings):
    """What is known of one camera."""

    camera: str
    """Name."""
    source: str
    """Where the numbers come from."""
    mtf: PassportMTF
    readout: Interval | None = None
    """N_0, electrons squared per pixel."""
    gain: Interval | None = None
    """Counts per electron."""
    readout_noise: Literal["poisson", "gaussian"] = "gaussian"
    """Kind of the readout noise."""
    offset: Interval | None = None
    """Counts without electrons."""
    excess_noise: Interval | None = None
    """F."""
    noise_transfer: TransferCurve | None = None
    """Where the noise of the electrons is not filtered by the MTF."""
    hardware: Hardware = Hardware()
    curves: Mapping[str, tuple[Curve, ...]] = Field(default_factory=dict)
    """nps [counts squared], noise_transfer, fixed_pattern, dqe."""
    fit: Mapping[str, Any] = Field(default_factory=dict)
    """Goodness of the joint fit, and the paper's fits of single frames."""
    frames: tuple[Mapping[str, Any], ...] = ()
    """Files with their SHA-256."""
    flags: tuple[str, ...] = ()
    """What to know before the numbers are used."""
    versions: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.readout is not None and self.readout.value < 0:
            raise ValueError(f"readout.value must not be negative, got {self.readout.value}")
        for name, given in (("gain", self.gain), ("excess_noise", self.excess_noise)):
            if given is not None and given.value <= 0:
                raise ValueError(f"{name}.value must be positive, got {given.value}")
        return self

    def simulated(self) -> Camera:
        """Return the camera at its best values, for :func:`framedose.camera.noise.detect`.

        Raises
        ------
        CalibrationError
            If the readout is not known in electrons.
        """
        return Camera(
            c0=None if self.mtf.table or self.mtf.c0 is None else self.mtf.c0.value,
            c3=None if self.mtf.table or self.mtf.c3 is None else self.mtf.c3.value,
            floor=0.0 if self.mtf.table else self.mtf.floor,
            mtf_table=self.mtf.table,
            noise_transfer=self.noise_transfer,
            excess_noise=1.0 if self.excess_noise is None else self.excess_noise.value,
            readout=self._readout().value,
            readout_noise=self.readout_noise,
        )

    def ranges(self) -> CameraRanges:
        """Return the ranges from low to high that training cameras are drawn from.

        Raises
        ------
        CalibrationError
            If the readout is not known in electrons.
        """
        readout = self._readout()
        ranges = CameraRanges(
            readout=Range(low=max(readout.low, 0.0), high=readout.high),
            readout_noise=self.readout_noise,
            noise_transfer=self.noise_transfer,
            excess_noise=1.0 if self.excess_noise is None else self.excess_noise.value,
        )
        if self.mtf.table is not None or self.mtf.c0 is None or self.mtf.c3 is None:
            return ranges.model_copy(update={"mtf_table": self.mtf.table})
        c0, c3 = (Range(low=given.low, high=given.high) for given in (self.mtf.c0, self.mtf.c3))
        return ranges.model_copy(update={"c0": c0, "c3": c3, "floor": self.mtf.floor})

    def dose(self, mean: float, sampling: float) -> float | None:
        """Return the dose [e/Å2] of a frame from its mean count, or None where the gain is not known on its own.

        Of a frame with a specimen it is the dose behind the specimen.

        Parameters
        ----------
        mean
            Mean count per pixel.
        sampling
            Side of a pixel [Å/px].
        """
        if self.gain is None or self.gain.quantity is not None:
            return None
        electrons = (mean - (0.0 if self.offset is None else self.offset.value)) / self.gain.value
        if self.offset is None and self.readout_noise == "poisson" and self.readout and self.readout.quantity is None:
            # An offset that was measured holds the mean of such a readout.
            electrons -= self.readout.value
        return max(electrons, 0.0) / sampling**2

    def dose_of(self, micrograph: Micrograph) -> float | None:
        """Return the dose of a micrograph [e/Å2], its own or by :meth:`dose` from its counts; None if neither tells.

        Borders without data (:mod:`framedose.cleaning.borders`) are left out of the mean.
        """
        if micrograph.dose_per_area is not None or micrograph.quantity != "counts":
            return micrograph.dose_per_area
        # No dose is no estimate: an offset that is too high, or a frame without electrons.
        return self.dose(mean_of_data(micrograph.image), micrograph.sampling) or None

    def _readout(self) -> Interval:
        if self.readout is None or (self.readout.quantity or "").endswith("(F N)"):
            raise CalibrationError(
                f"The passport of {self.camera!r} has no readout noise in electrons, so it cannot be simulated. "
                "Calibrate with --dose, --offset, or frames of several doses."
            )
        return self.readout


def write_passport(path: str | Path, passport: CameraPassport) -> None:
    """Write a passport as YAML, atomically."""
    content = passport.model_dump(mode="json", exclude_none=True)
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def load_passport(name: str | Path) -> CameraPassport:
    """Read a passport: a YAML file, or one that ships with framedose (see :func:`shipped_passports`).

    Raises
    ------
    ConfigurationError
        If there is no such passport, or it is not one.

    Examples
    --------
    >>> load_passport("oneview").mtf.c0.value
    0.28
    """
    shipped = shipped_passports()
    path = Path(str(_SHIPPED / f"{str(name).lower()}.yaml")) if str(name).lower() in shipped else Path(name)
    if not path.is_file():
        raise ConfigurationError(
            f"camera passport {str(name)!r} cannot be read: no such file. Give one that framedose calibrate has "
            f"written, or {', '.join(shipped)}."
        )
    return build(CameraPassport, read_yaml(path, name="camera passport"), where=f"camera passport {str(name)!r}")


def shipped_passports() -> list[str]:
    """Return the names of the passports that ship with framedose.

    Examples
    --------
    >>> "mtf3" in shipped_passports()
    True
    """
    return sorted(Path(entry.name).stem for entry in _SHIPPED.iterdir() if entry.name.endswith(".yaml"))


class _Dumper(yaml.SafeDumper):
    """Rows of numbers on as few lines as they need."""


def _numbers(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    flow = bool(values) and all(isinstance(value, int | float) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)


def _rounded(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    """Write six digits: more than any measurement of noise has."""
    text = repr(float(f"{value:.6g}"))
    # YAML 1.1 reads 1e-05 as text.
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(list, _numbers)
_Dumper.add_representer(float, _rounded)
