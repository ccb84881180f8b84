"""The greatest resident memory of a process that a test has started."""

import re
import resource
import sys
from pathlib import Path


def peak_memory():
    """Return that of this process so far [MB].

    On Linux not the one that ``getrusage`` knows: it begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text()).group(1)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
