"""Let a child process die with this one, however this one ends."""

import subprocess
from pathlib import Path

SCRIPT = 'read -r _; kill -9 "$1"; [ -z "$2" ] || rm -rf "$2"'


class Watcher:
    """Wait for the end of a pipe that only this process holds; then kill ``pid`` and remove ``folder``, if given."""

    def __init__(self, pid: int, folder: Path | None = None) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", SCRIPT, "watcher", str(pid), str(folder or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Watch no longer: the child has ended, or may go on alone."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
