"""The traffic-window test of arXiv 2606.05725: is a window of queries drawn from the benign ones?"""

from collections.abc import Iterable

import numpy as np

from streams.evaluate.baselines.common import Sighting, Suspicion
from streams.evaluate.seen import Seen

WINDOW = 1_500  # queries, the paper's largest
REFERENCE = 6_000  # queries at the start of the traffic, taken for benign
FEATURES = 64  # random Fourier features (Rahimi and Recht 2007)
BANDWIDTH = 128.0**0.5  # median distance of two SimHashes as vectors of +-1: 32 bits of 64 differ


class TrafficWindow:
    """Squared maximum mean discrepancy (Gretton et al. 2012) between each window and the first queries.

    The paper embeds sentences; here SimHashes stand for them, since only fingerprints need be there. It tells that
    something is in the traffic, not who: it names nobody, and at 0.3 % of the traffic it sees nothing.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(2606)
        self._directions = rng.normal(0, 1 / BANDWIDTH, (64, FEATURES)).astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, FEATURES).astype(np.float32)
        self._waiting: list[int] = []
        self._reference: np.ndarray | None = None
        self._windows = 0

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Collect the exchange; test a window once it is full."""
        if not seen.simhash:
            return ()
        self._waiting.append(seen.simhash)
        if len(self._waiting) < (REFERENCE if self._reference is None else WINDOW):
            return ()
        mean = self._mean(np.array(self._waiting, np.uint64))
        self._waiting.clear()
        if self._reference is None:
            self._reference = mean
            return ()
        self._windows += 1
        score = float(((mean - self._reference) ** 2).sum())
        return (Suspicion(score, f"window {self._windows}", ()),)

    def _mean(self, hashes: np.ndarray) -> np.ndarray:
        bits = (hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        signs = bits.astype(np.float32) * 2 - 1
        waves = np.cos(signs @ self._directions + self._phases)
        found: np.ndarray = waves.mean(axis=0) * (2 / FEATURES) ** 0.5
        return found

    def midnight(self) -> None:
        """The reference stays."""
