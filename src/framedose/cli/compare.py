"""``framedose compare``: two networks that were evaluated on the same series."""

from __future__ import annotations

from pathlib import Path

from framedose.errors import ConfigurationError, FileFormatError


def compare(
    first: Path,
    second: Path,
    /,
    *,
    threshold: float = 0.9,
    false_area: float = 0.001,
    precision: float = 0.9,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Compare two networks on the same frames: dose ratios at equal threshold and at equal false area.

    The latter with and without a least precision on the frames with a particle.

    "framedose evaluate" leaves a file NAME.measured.npz of every network. Two from different folders can be compared
    if they saw the same series.

    Examples:

      framedose compare evaluation/unet.measured.npz evaluation/msdnet.measured.npz

      framedose compare a/mine.measured.npz b/unet.measured.npz --false-area 0.0001 --out comparison.json

    Parameters
    ----------
    first
        NAME.measured.npz of one network; ratios are of its doses over those of the other.
    second
        NAME.measured.npz of the other.
    threshold
        Threshold of the comparison at equal threshold.
    false_area
        What both may call particle of vacuum, and of bare support, as a share of the frame.
    precision
        Share of the area predicted at a dose that must be particle, in the last of the three comparisons.
    level
        Coverage of the intervals.
    resamples
        Bootstrap resamples.
    seed
        Seed of the bootstrap.
    out
        JSON file for all numbers.
    """
    from framedose.atomic import write_json
    from framedose.config import build, read_json
    from framedose.evaluation.compare import compare as run
    from framedose.evaluation.measure import Measured
    from framedose.evaluation.summary import EvaluationConfig
    from framedose.random import check_seed

    names = tuple(path.name.removesuffix(".measured.npz") for path in (first, second))
    cards = []
    for path in (first, second):
        if not path.name.endswith(".measured.npz") or not path.is_file():
            raise FileFormatError(f"{str(path)!r} is no NAME.measured.npz of framedose evaluate.")
        card = read_json(path.with_suffix(".json"))
        if not isinstance(card, dict) or "series" not in card:
            raise FileFormatError(f"{str(path.with_suffix('.json'))!r} does not say which series was measured.")
        cards.append(card)
    if cards[0]["series"] != cards[1]["series"]:
        raise ConfigurationError(f"{first} and {second} were measured on different series: evaluate both on one.")
    config = build(EvaluationConfig, {"threshold": threshold, "level": level, "resamples": resamples}, where="options")
    check_seed(seed)
    one, other = (Measured.load(path) for path in (first, second))
    result = run(one, other, config, seed=seed, names=(names[0], names[1]), false_area=false_area, precision=precision)
    print(result.verdict)
    shares = ("25 % of it", "50 %", "75 %")
    print(f"{f'dose of {names[0]} / {names[1]}':<44}", *(f"{share:<22}" for share in shares))
    for title, setting in (
        ("equal threshold", result.equal_threshold),
        ("equal false area", result.equal_false_area),
        (f"that and precision {precision:g}", result.equal_false_area_and_precision),
    ):
        for what, ratios in (("area", setting.area_dose_ratio), ("particle", setting.true_positive_dose_ratio)):
            cells = (f"{_number(r.value)} ({_number(r.low)} to {_number(r.high)})" for r in ratios.values())
            print(f"{f'{what}, {title}':<44}", *(f"{cell:<22}" for cell in cells))
    print(
        f"greatest false area at threshold {threshold:g}: {names[0]} {result.false_area_first:.3%}, "
        f"{names[1]} {result.false_area_second:.3%}"
    )
    if out is not None:
        write_json(out, result.model_dump())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
