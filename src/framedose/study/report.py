"""The report of a study: one HTML file that needs nothing beside it, and the numbers as CSV."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import yaml

from framedose.atomic import write_aside
from framedose.evaluation.compare import Comparison
from framedose.evaluation.limits import DoseLimit
from framedose.evaluation.summary import Band, NetworkResult
from framedose.study.figures import Networks
from framedose.study.labels import network_label, number

if TYPE_CHECKING:
    # It loads abTEM.
    from framedose.study.physics import PhysicsResult

# False area, as a share of the frame, that a headline must not be silent about.
_MUCH = 0.05


def write_report(
    out: str | Path,
    *,
    networks: Networks,
    comparisons: Mapping[str, Comparison],
    physics: PhysicsResult | None = None,
    figures: Sequence[tuple[Path, str]],
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    seconds: Mapping[str, float],
    pixels_summed: int,
) -> Path:
    """Write ``report.html`` into the folder ``out`` and return its path.

    Parameters
    ----------
    out
        The folder, which exists.
    networks
        Results by network.
    comparisons
        Pairs of them on the same frames, by a title.
    physics
        What physics allows on the same structures.
    figures
        Each PNG and its caption, in the order of the report.
    settings
        All settings of the study, as YAML can hold them; shown so that they can be given back with ``--config``.
    provenance
        Seeds, versions and hashes by name; nested mappings and lists are allowed.
    seconds
        Wall time [s] by stage.
    pixels_summed
        Side of the square of camera pixels that are summed to one; above 2 the report says that it is no test of the
        paper's statements on the MTF.
    """
    path = Path(out) / "report.html"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": _percent, "duration": _duration, "label": network_label}
    template = environment.from_string(files("framedose.study").joinpath("report.html.j2").read_text(encoding="utf-8"))
    html = template.render(
        networks=networks,
        comparisons=comparisons,
        physics=physics,
        headlines={name: headline(name, result) for name, result in networks.items()},
        level=next(iter(networks.values())).dose_50_area.level,
        ends=_ends,
        figures=[(_embedded(file), caption) for file, caption in figures],
        settings=_yaml(settings),
        provenance=_yaml(provenance),
        seconds=seconds,
        pixels_summed=pixels_summed,
    )
    with write_aside(path) as aside:
        aside.write_text(html, encoding="utf-8")
    return path


def write_tables(out: str | Path, networks: Networks) -> None:
    """Write ``curves.csv`` and ``limits.csv`` into the folder ``out``; a value that does not exist is left empty."""
    header = ["network", "dose", "quantity", "value", "low", "high"]
    write_csv(Path(out) / "curves.csv", header, (row for name in networks for row in _curve_rows(name, networks[name])))
    header = ["network", "quantity", "value", "low", "high", "level", "at_or_below"]
    write_csv(Path(out) / "limits.csv", header, (row for name in networks for row in _limit_rows(name, networks[name])))


def headline(name: str, result: NetworkResult) -> str:
    """Return the dose limits of one network in two sentences, and a third where it sees particles in empty fields."""
    limit, greatest = result.dose_50_area, result.curves.doses[-1]
    network = network_label(name)
    if limit.value is None:
        first = f"{network} does not find half of the particle's area at any dose up to {number(greatest)}\u00a0e/Å²."
    else:
        where = "at or below" if limit.at_or_below else "from"
        first = (
            f"{network} finds half of the particle's area {where} {number(limit.value)}\u00a0e/Å² ({_interval(limit)})."
        )
    if result.dose_converged is None:
        second = "Its area converges at no tested dose."
    else:
        where = "at or below" if result.dose_converged == result.curves.doses[0] else "at"
        second = f"Its area has converged {where} {number(result.dose_converged)}\u00a0e/Å²."
    false = {"vacuum": result.vacuum_false_area_max, "bare support": result.support_false_area_max or 0.0}
    much = [f"{_percent(share)} of {where}" for where, share in false.items() if share > _MUCH]
    third = f" But it calls up to {' and '.join(much)} particle: its area is no evidence of one." if much else ""
    return f"{first} {second}{third}"


def _interval(limit: DoseLimit) -> str:
    noise = ", of the noise only" if limit.noise_only else ""
    return f"{100 * limit.level:.3g}\u00a0% interval: {_ends(limit.low, limit.high)}{noise}"


def _ends(low: float | None, high: float | None) -> str:
    if low is None:
        return "beyond the tested doses"
    return f"{number(low)} to {'beyond the tested doses' if high is None else number(high)}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{float(f'{100 * share:.2g}'):.10g} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=None, width=90, allow_unicode=True)


def _curve_rows(name: str, result: NetworkResult) -> Iterable[list[Any]]:
    curves = result.curves
    for quantity in type(curves).model_fields:
        values = getattr(curves, quantity)
        if quantity == "doses" or values is None:
            continue
        columns = (values.mean, values.low, values.high) if isinstance(values, Band) else (values,)
        for dose, *numbers in zip(curves.doses, *columns, strict=True):
            yield [name, dose, quantity, *numbers, *[None] * (3 - len(numbers))]


def _limit_rows(name: str, result: NetworkResult) -> Iterable[list[Any]]:
    for quantity in type(result).model_fields:
        value = getattr(result, quantity)
        if isinstance(value, DoseLimit):
            yield [name, quantity, value.value, value.low, value.high, value.level, value.at_or_below]
        elif quantity == "dose_converged":
            yield [name, quantity, value, *result.dose_converged_interval, result.dose_50_area.level, None]
        elif quantity == "dose_50_area_by_threshold":
            for threshold, dose in value.items():
                yield [name, f"dose_50_area at {threshold}", dose, None, None, None, None]
        elif value is None or isinstance(value, float):
            yield [name, quantity, value, None, None, None, None]


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table, atomically."""
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
