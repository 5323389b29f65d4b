"""Benign and hostile traffic with known truth; see README.md in this folder."""
