"""Whether pixels of one value are an accident, or were made so."""

# Chance below which they are none, if a camera spreads an electron over 16 pixels of them.
_CHANCE, _SPREAD = 1e-3, 16


def is_accident(places: int, share: float, pixels: int) -> bool:
    """Return whether so many pixels, in any of so many places, may all have a value that a share of all pixels has."""
    return bool(places * share ** (pixels / _SPREAD) >= _CHANCE)
