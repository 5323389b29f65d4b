"""Measure speed and memory: decoding alone, a replay, and a worker on a real broker, on the same events."""
