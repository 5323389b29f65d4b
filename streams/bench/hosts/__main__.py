"""Run the host that the first argument names; the second is a Job as JSON."""

import importlib
import sys

import msgspec

from streams.bench.hosts import Job

importlib.import_module(f"streams.bench.hosts.{sys.argv[1]}").run(msgspec.json.decode(sys.argv[2], type=Job))
