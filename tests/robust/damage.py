"""Ways to damage a file, as Hypothesis strategies over its bytes."""

import struct

from hypothesis import strategies as st

# What a header that lies says: the edges of the types that sizes are kept in.
_HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**16, 2**24, 0, -1)


class Bytes(bytes):
    """Bytes of which a report says how many they are; the file that failed last lies in the test's folder."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


@st.composite
def damaged(draw, content, header=4096):
    """Bytes of a file with one to three kinds of damage, most of them in the header, where they mean the most."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(("cut", "flip", "overwrite", "number", "insert", "repeat")))
        end = max(0, len(data) - 1)
        place = draw(st.one_of(st.integers(0, min(end, header)), st.integers(0, end)))
        if kind == "cut":
            del data[place:]
        elif kind == "flip" and data:
            data[place] ^= draw(st.integers(1, 255))
        elif kind == "overwrite":
            data[place : place + 16] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "number":
            number, layout = draw(st.sampled_from(_HUGE)), draw(st.sampled_from(("<I", ">I", "<Q", ">Q")))
            packed = struct.pack(layout, number % 2 ** (8 * struct.calcsize(layout)))
            data[place : place + len(packed)] = packed
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=64))
        else:
            data[place:place] = data[place : place + draw(st.integers(1, 256))]
    return Bytes(data)
