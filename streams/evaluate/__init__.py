"""How good is the detector: measured on simulated traffic of known truth, beside simple methods on the same events."""
