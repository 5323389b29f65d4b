"""Memory that is freed goes back to the system."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from streams.bench.memory import resident_bytes
from streams.runtime.allocator import set_up

if "set up" in sys.argv:
    assert set_up()
del_at_once = b"x" * (30 << 20)  # from here on glibc keeps blocks up to this size, unless it is told not to
del del_at_once
held = []
for _ in range(20):
    held.append(b"x" * (8 << 20))
    held.append(b"x" * 2_000)  # in the way of what is freed
before = resident_bytes()
held[::2] = [None] * 20
print(before - resident_bytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_large_blocks_are_given_back():
    """Of 160 MB in large blocks next to nothing stays; without the settings most of it does."""

    def freed(*arguments: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", PROGRAM, *arguments], text=True))

    assert freed("set up") > 150_000_000
    assert freed() < 80_000_000
