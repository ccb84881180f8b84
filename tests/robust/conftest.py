import sys
from pathlib import Path

import pytest

# What writes small files of each format is there.
sys.path.insert(0, str(Path(__file__).parents[1] / "files"))


@pytest.fixture(scope="module")
def victim():
    if sys.platform == "win32":
        pytest.skip("memory is limited and measured with the resource module")
    from fuzzing import Victim

    one = Victim()
    yield one
    one.end()
