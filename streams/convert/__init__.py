"""Request events built from public prompt sets and traces: real texts, real rhythms, known truth.

Apart from `streams.simulator`, which composes its texts: here every prompt is one that somebody sent or that a data set
was made with, and nothing is packaged, because not all of these sets may be redistributed. The simulator's tables of
countries, networks, programs and identities are used, drawn alike for every account.
"""
