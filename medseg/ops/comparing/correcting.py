"""P-values of many pairs of sides at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medseg.ops.comparing.pairs import Difference, Differences, Pair
from medseg.ops.statistics.holm import holm

# Where a difference stands: on all scans, on those with tumour or on healthy ones; then region and measure.
_Key = tuple[str, str, str]


def corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """Fill `p_holm`: for each region and measure by itself, Holm over all pairs that have a p there."""
    raw = [_p_values(pair) for pair in pairs]
    keys = {key for own in raw for key in own}
    families = {key: holm([own.get(key) for own in raw]) for key in sorted(keys)}
    return [_filled(pair, {key: family[place] for key, family in families.items()}) for place, pair in enumerate(pairs)]


def _p_values(pair: Pair) -> dict[_Key, float | None]:
    found = {("all", region, name): one.found.p for region, own in pair.regions.items() for name, one in own.items()}
    found |= {("tumour", "", name): one.found.p for name, one in pair.tumour.items()}
    return found | ({("healthy", "", ""): pair.healthy.false_ml.found.p} if pair.healthy else {})


def _filled(pair: Pair, p: Mapping[_Key, float | None]) -> Pair:
    def fill(own: Differences, *where: str) -> dict[str, Difference]:
        return {name: replace(one, p_holm=p[where[0], where[1], name]) for name, one in own.items()}

    healthy = pair.healthy
    if healthy is not None:
        healthy = replace(healthy, false_ml=replace(healthy.false_ml, p_holm=p["healthy", "", ""]))
    regions = {region: fill(own, "all", region) for region, own in pair.regions.items()}
    return replace(pair, regions=regions, tumour=fill(pair.tumour, "tumour", ""), healthy=healthy)
