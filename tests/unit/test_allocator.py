"""Threads of a worker take their memory from one heap."""

import platform
import subprocess
import sys

import pytest

# All threads hold memory at the same time; malloc_stats writes a line for each heap to the error output.
PROGRAM = """
import ctypes, sys, threading
from streams.runtime.allocator import share_one_heap

if "one heap" in sys.argv:
    assert share_one_heap()
together = threading.Barrier(4)

def hold():
    held = [b"x" * 2_000 for _ in range(1_000)]
    together.wait()

threads = [threading.Thread(target=hold) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_threads_share_one_heap():
    """Four threads take their memory from one heap; without the setting each has its own."""

    def heaps(*arguments: str) -> int:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr.count("Arena ")

    assert heaps("one heap") == 1
    assert heaps() > 1


# Every other block is freed: no page at the heap's end, which glibc would give back of itself.
HOLES = """
from pathlib import Path
from streams.runtime.allocator import give_back

def resident_kb():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])

blocks = [b"x" * 60_000 for _ in range(2_000)]
del blocks[::2]
before = resident_kb()
assert give_back()
print(before - resident_kb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_holes_in_the_heap_are_given_back():
    """A thousand freed blocks of 60 KB between others that are held: most of their 60 MB goes back to the system."""
    command = [sys.executable, "-c", HOLES]
    assert int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout) > 40_000
