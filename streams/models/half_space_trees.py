"""Make and store River's half-space trees (Tan, Ting and Liu, IJCAI 2011).

The trees follow from the seed and the features; only the masses of the leaves are stored, since each inner node holds
the sum of its two children. Cannot see anomalies that come packed together in one window: they become the reference.
"""

from collections.abc import Mapping
from typing import Any

from river.anomaly import HalfSpaceTrees
from river.tree.padded import PaddedBranch

from streams.errors import StateError

from .checked import Dump, count, real, sequence, text

_TREES_MAX, _HEIGHT_MAX, _WINDOW_MAX, _FEATURES_MAX = 64, 12, 100_000, 64


def make_half_space_trees(
    limits: Mapping[str, tuple[float, float]], seed: int, trees: int = 5, height: int = 6, window: int = 100
) -> Any:
    """Return a forest over exactly the features of ``limits`` (name -> lowest, highest value), with its trees built.

    River builds the trees at the first observation, from the features which that one happens to have; here they are
    fixed from the start, so a feature that is missing at first is not lost, and the forest can be stored at any time.
    """
    model: Any = HalfSpaceTrees(
        trees, height, window, limits={name: limits[name] for name in sorted(limits)}, seed=seed
    )
    model.learn_one(dict.fromkeys(model.limits, 0.0))  # builds the trees; its masses are taken back below
    _set_masses(model, [[0] * 2**height] * trees, [[0] * 2**height] * trees)
    model.counter, model._first_window = 0, True
    return model


def dump_half_space_trees(model: Any) -> Dump:
    """Return (trees, height, window, seed, counter, first window 0 or 1, features, then name, low, high of each).

    After these come, tree by tree, the masses of the leaves in the current window and in the reference window.
    """
    limits = [item for name in sorted(model.limits) for item in (name, *map(float, model.limits[name]))]
    masses = [
        mass
        for tree in model.trees
        for leaves in [list(tree.iter_leaves())]
        for mass in ([leaf.l_mass for leaf in leaves] + [leaf.r_mass for leaf in leaves])
    ]
    shape = (model.n_trees, model.height, model.window_size, model.seed)
    return (*shape, model.counter, int(model._first_window), len(model.limits), *limits, *masses)


def load_half_space_trees(values: object) -> Any:
    """Rebuild from `dump_half_space_trees`; raises `StateError` unless the masses add up to the windows."""
    what = "HalfSpaceTrees"
    stored = sequence(values, None, what)
    if len(stored) < 7:
        raise StateError("stored HalfSpaceTrees is too short")
    trees, height = count(stored[0], what, 1, _TREES_MAX), count(stored[1], what, 1, _HEIGHT_MAX)
    window, seed = count(stored[2], what, 2, _WINDOW_MAX), count(stored[3], what)
    counter, first = count(stored[4], what, 0, window - 1), count(stored[5], what, 0, 1)
    features, leaves = count(stored[6], what, 1, _FEATURES_MAX), 2**height
    if len(stored) != 7 + 3 * features + 2 * trees * leaves:
        raise StateError("stored HalfSpaceTrees has the wrong length")
    limits: dict[str, tuple[float, float]] = {}
    for at in range(7, 7 + 3 * features, 3):
        low = real(stored[at + 1], what, -1e15, 1e15)
        limits[text(stored[at], what)] = (low, real(stored[at + 2], what, low, 1e15))
    if len(limits) != features or all(low == high for low, high in limits.values()):
        raise StateError("stored HalfSpaceTrees has features that cannot be split")
    masses = [count(value, what, 0, window) for value in stored[7 + 3 * features :]]
    rows = [masses[at : at + leaves] for at in range(0, len(masses), leaves)]
    reference = 0 if first else window
    if any(sum(row) != counter for row in rows[::2]) or any(sum(row) != reference for row in rows[1::2]):
        raise StateError("stored HalfSpaceTrees has masses that do not add up to its windows")
    model = make_half_space_trees(limits, seed, trees, height, window)
    _set_masses(model, rows[::2], rows[1::2])
    model.counter, model._first_window = counter, bool(first)
    return model


def half_space_trees_max_numbers(features: int, trees: int = 5, height: int = 6) -> int:
    """Return the length of a dump."""
    return 7 + 3 * features + 2 * trees * 2**height


def _set_masses(model: Any, current: list[list[int]], reference: list[list[int]]) -> None:
    """Give the leaves of each tree their masses and each inner node the sum of its children."""
    for tree, now, before in zip(model.trees, current, reference, strict=True):
        for leaf, l_mass, r_mass in zip(tree.iter_leaves(), now, before, strict=True):
            leaf.l_mass, leaf.r_mass = l_mass, r_mass
    for nodes in model._tree_nodes:
        for node in reversed(nodes):  # depth first, so that children come before their parent
            if isinstance(node, PaddedBranch):
                left, right = node.children
                node.l_mass, node.r_mass = left.l_mass + right.l_mass, left.r_mass + right.r_mass
