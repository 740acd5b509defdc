"""A share of things, some of which belong to the same subject, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from medseg.ops.statistics.intervals import Interval, cluster

_NORMAL_95 = 1.959963984540054


def share_interval(found: Sequence[bool], subjects: Sequence[str]) -> Interval:
    """Return the 95 % interval of the share that is true; of nothing, (None, None).

    It has a width where all are true or none is, and needs no minimum. Things of one subject that are alike count as
    fewer: as many as give the variance between subjects, and as many as there are subjects where all agree.
    Source: Wilson 1927, as Brown, Cai and DasGupta 2001 advise; effective number, Korn and Graubard 1998.
    """
    if not found:
        return None, None
    groups = cluster(np.array(found, np.float64), np.array(subjects, object))
    share, people = groups.mean, groups.sizes.size
    amount = float(people)
    if 0 < share < 1 and people > 1:
        # Where every subject has the same share, subjects tell nothing of a thing's own chance.
        amount = min(len(found), 1 + share * (1 - share) / max(groups.error**2, 1e-300))
    square = _NORMAL_95**2
    middle = (share + square / (2 * amount)) / (1 + square / amount)
    margin = _NORMAL_95 * sqrt(share * (1 - share) / amount + square / (4 * amount**2)) / (1 + square / amount)
    # At the bounds the two cancel up to rounding, which nobody should read as a share.
    return (middle - margin if share > 0 else 0.0), (middle + margin if share < 1 else 1.0)
