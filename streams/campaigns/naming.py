"""Who of a group is named: accounts that really use what is shared, not who passed by or copied a public text."""

from typing import Any

import numpy as np

from streams.campaigns.evidence import purpose_share
from streams.campaigns.families import PHRASES, PURPOSE_SHARE
from streams.campaigns.group import MEMBERS_MIN, Group, median

POOLED_SHARE = 0.5
SHOWN_MANY = 3  # texts in common that half of a group's accounts show
# Of those who put content of their own into a prompt, so many share cards, devices and networks: a pool's own prompt,
# however seldom each shows it. Strangers who copy a public one have hardly any in common.
THIN_SHARE, THIN_MIN = 0.25, 12


def named(group: Group) -> Any:
    """Mask of the accounts to name.

    Where most of a group sits in pools, an account outside of them needs more than copies in common.
    """
    uses = (group.solid >= 2) & (group.purity >= 0.05)
    # words that open or close a prompt are anybody's once: "Let's think step by step". Of two on one card it is not
    framing = [token.members for token in group.tokens if token.kind not in PHRASES]
    paid = group.paid if len(framing) < len(group.tokens) else ()
    once = (group.solid >= 1) & (group.purity >= 0.5) & ~uses
    for i in np.flatnonzero(once).tolist():
        row = int(group.at[i])
        once[i] = row in paid or any(row in members for members in framing)
    mask = uses | once | ((group.shown >= 3) & (group.purity >= 0.1))
    if (thin := _thin(group, mask)) is not None:
        return mask | thin
    if int(mask.sum()) < MEMBERS_MIN:
        return mask
    # of several texts in common, a stranger shows the one that was his: cover traffic copies what people send
    many = median(group.shown[mask]) >= SHOWN_MANY
    pooled = {row for _, rows in group.take(mask).pools if len(rows) >= MEMBERS_MIN for row in rows}
    if len(pooled) >= POOLED_SHARE * int(mask.sum()):
        mask &= group.among(pooled) | uses
    if many:
        mask &= group.among(pooled) | (group.shown > 1)
    return mask


def _thin(group: Group, sure: Any) -> Any | None:
    """Mask of a hydra's accounts, which show its prompt in a hundredth of their exchanges; None if it is none.

    ``sure`` are named in any case. Of the others, those are taken whom infrastructure joins with others that use the
    prompt, and those who work with it.
    """
    shown = (group.solid >= 1) & (group.fresh >= 1)
    n = int(shown.sum())
    if n < max(THIN_MIN, 2 * int(sure.sum())) or purpose_share(group) < PURPOSE_SHARE:
        return None
    joined = {row for _, rows in group.take(shown).pools if len(rows) >= MEMBERS_MIN for row in rows}
    if len(joined) < THIN_SHARE * n:
        return None
    return shown & (group.among(joined) | (group.fresh >= 3))
