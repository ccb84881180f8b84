"""How figures and the report write names and numbers."""

_NETWORKS = {
    "unet": "U-net",
    "msdnet": "MSD-net",
    "bragg_otsu": "Bragg filter",
    "local_variance": "local variance",
    "matched_lattice": "matched lattice filter",
}


def network_label(name: str) -> str:
    """Return the name of a network as people write it; one that is not known keeps its own."""
    return _NETWORKS.get(name, name)


def number(value: float | None) -> str:
    """Return ``value`` with three digits and without an exponent, and a dash for None.

    Examples
    --------
    >>> number(12345.6), number(0.01234), number(None)
    ('12300', '0.0123', '–')
    """
    return "–" if value is None else f"{float(f'{value:.3g}'):.10g}"
