"""From dose limits to an experiment: exposure, frame rate, frames to sum, and how many fit into a damage budget."""

import math

from framedose.errors import ConfigurationError
from framedose.evaluation.limits import DoseLimit, Result
from framedose.evaluation.summary import NetworkResult


class Need(Result):
    """What one aim needs, by the limit of one network; ``low`` and ``high`` go with the interval of the dose."""

    aim: str
    """What is to be seen."""
    dose: float | None
    """Frame dose [e/Å2]; None if no tested dose suffices, and then all else is None too."""
    dose_low: float | None
    """Lower end of its interval."""
    dose_high: float | None
    """Upper end; None if beyond the tested doses."""
    at_or_below: bool
    """The least dose of the series suffices: the limit is there or below."""
    noise_only: bool
    """The series has one structure: the interval, if there is one, knows nothing of other structures."""
    exposure: float | None
    """Exposure of a frame of that dose [s] at the dose rate."""
    frame_rate: float | None
    """Greatest number of such frames in a second."""
    frames_to_sum: int | None
    """Camera frames that make one, where the camera's own rate is given."""
    dose_of_sum: float | None
    """Dose of these together [e/Å2], which is that of whole camera frames."""
    frames_in_budget: int | None
    """Such frames, or sums of the camera's, before the damage budget is spent, where one is given."""
    frames_in_budget_low: int | None
    """The same for the upper end of the dose's interval: what can be counted on; None where nothing can."""


class Plan(Result):
    """An experiment with one network at one dose rate."""

    network: str
    """Its name."""
    dose_rate: float
    """[e/Å2/s]."""
    camera_rate: float | None
    """Frames of the camera in a second."""
    budget: float | None
    """Accumulated dose that the specimen stands [e/Å2]."""
    budget_seconds: float | None
    """Time until it is spent [s]."""
    needs: tuple[Need, ...]
    """Detection, half of the particle, and an area that has converged."""


def plan(
    network: str,
    result: NetworkResult,
    *,
    dose_rate: float,
    camera_rate: float | None = None,
    budget: float | None = None,
) -> Plan:
    """Return what detection and segmentation need at a dose rate.

    A frame of dose D takes D / rate seconds; a camera of f frames a second makes it of n = ceil(D f / rate) of them,
    whose readout noise adds up, which the limits do not know. Frames of dose D in a budget B: floor(B / D), or, of a
    camera, floor(B f / (n rate)).

    Parameters
    ----------
    network
        Name of the network.
    result
        Its limits.
    dose_rate
        [e/Å2/s].
    camera_rate
        Frames of the camera in a second.
    budget
        Accumulated dose that the specimen stands [e/Å2].

    Raises
    ------
    ConfigurationError
        If a number is not positive.
    """
    check_rates(dose_rate, camera_rate, budget)
    low, high = result.dose_converged_interval
    half, least = result.dose_50_area, result.curves.doses[0]
    converged = DoseLimit(
        value=result.dose_converged,
        low=low,
        high=high,
        level=half.level,
        at_or_below=result.dose_converged == least,
        noise_only=half.noise_only,
    )
    aims = {
        "the particle is detected": result.first_detection,
        "half of the particle is segmented": result.dose_50_true_positive,
        "the area can be trusted (within 5 % of its plateau)": converged,
    }
    return Plan(
        network=network,
        dose_rate=dose_rate,
        camera_rate=camera_rate,
        budget=budget,
        budget_seconds=None if budget is None else budget / dose_rate,
        needs=tuple(_need(aim, limit, dose_rate, camera_rate, budget) for aim, limit in aims.items()),
    )


def check_rates(dose_rate: float, camera_rate: float | None, budget: float | None) -> None:
    """Raise ConfigurationError unless each is a positive number, or None."""
    for name, value in (("dose-rate", dose_rate), ("camera-rate", camera_rate), ("budget", budget)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigurationError(f"--{name} must be positive, got {value}.")


def _need(aim: str, limit: DoseLimit, dose_rate: float, camera_rate: float | None, budget: float | None) -> Need:
    dose = limit.value
    frames, dose_of_sum = _summed(dose, dose_rate, camera_rate)
    # What is true of the one structure need not hold for the next.
    high = None if dose is None or limit.noise_only else limit.high
    _, high_of_sum = _summed(high, dose_rate, camera_rate)
    return Need(
        aim=aim,
        dose=dose,
        dose_low=None if dose is None else limit.low,
        dose_high=None if dose is None else limit.high,
        at_or_below=limit.at_or_below,
        noise_only=limit.noise_only,
        exposure=None if dose is None else dose / dose_rate,
        frame_rate=None if dose is None else dose_rate / dose,
        frames_to_sum=frames,
        dose_of_sum=dose_of_sum,
        frames_in_budget=_whole(budget, dose_of_sum or dose),
        frames_in_budget_low=_whole(budget, high_of_sum or high),
    )


def _summed(dose: float | None, dose_rate: float, camera_rate: float | None) -> tuple[int | None, float | None]:
    """Return how many camera frames have a dose at least, and the dose that these have."""
    if dose is None or camera_rate is None:
        return None, None
    # Rounding must not ask for a frame more than a dose that is a whole number of them.
    frames = max(1, math.ceil(dose * camera_rate / dose_rate - 1e-9))
    return frames, frames * dose_rate / camera_rate


def _whole(budget: float | None, dose: float | None) -> int | None:
    return None if budget is None or dose is None else math.floor(budget / dose + 1e-9)
