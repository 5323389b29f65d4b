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
