"""One progress bar for all long work, on standard error, silent where nobody watches."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], *, total: int, label: str, done: int = 0) -> Iterator[T]:
    """Yield ``items`` while a bar with ``label`` counts them from ``done`` to ``total``.

    In a terminal the bar moves; in a log file it prints a line every ten seconds at most.
    """
    interval = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(total=total, initial=done, desc=f"{label:<24}", file=sys.stderr, mininterval=interval, leave=True) as bar:
        for item in items:
            yield item
            bar.update(1)
