"""The files of a comparison: compare.json for programs, compare.html for people. Each appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.ops.comparing.pairs import Difference, Pair
from medseg.ops.comparing.sides import Ground, Side
from medseg.ops.statistics.seeds import seeds_move
from medseg.pipeline.store import write_whole
from medseg.values.error import wrong_setting

RECORD, PAGE = "compare.json", "compare.html"


def check_place(out: Path, folders: Sequence[Path]) -> None:
    """Make the folder `out`; refuses (exit 2) one that cannot be written to, and the folder of a compared run."""
    own = {place.resolve() for folder in folders for place in (folder, folder / "report")}
    if out.resolve() in own:
        rule = "a comparison goes into a folder of its own, not into a run's"
        raise wrong_setting("out", rule, out, "name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error


def write_comparison(out: Path, record: Mapping[str, Any], page: str) -> Path:
    """Write both files and return where the page lies; the same comparison gives the same bytes."""
    try:
        write_whole(out / PAGE, page)
        write_whole(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise _unwritable(out, error) from error
    return out / PAGE


def pair_record(pair: Pair) -> dict[str, Any]:
    """Return a pair as compare.json has it: by region and measure, then on scans with tumour and on healthy ones."""
    healthy = pair.healthy
    return {
        "first": pair.first,
        "second": pair.second,
        "regions": {region: _by_measure(own) for region, own in pair.regions.items()},
        "tumour": _by_measure(pair.tumour),
        "healthy": healthy
        and {"n": healthy.n, "clean": list(healthy.clean), "false_ml": difference_record(healthy.false_ml)},
    }


def difference_record(one: Difference) -> dict[str, Any]:
    """Return a difference, second minus first; `wins`, `ties` and `losses` are scans, seen from the second."""
    found = one.found
    return {
        "difference": found.difference,
        "ci95": list(found.ci95),
        "p": found.p,
        "p_holm": one.p_holm,
        "n": found.n,
        "subjects": found.subjects,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
        "undefined": found.undefined,
        "only_first": one.only_first,
        "only_second": one.only_second,
        "means": list(one.means),
        "better": one.kind.better,
        "seeds_alone": one.seeds_alone,
    }


def spread_record(side: Side, ground: Ground, cell: tuple[str, str]) -> dict[str, Any]:
    """Return how the means of a side's runs vary by seed and fold; `moves` is how far two of them lie apart at most."""
    spread = side.spread(ground, *cell)
    return {"name": side.name, **asdict(spread), "moves": seeds_move([spread])}


def _by_measure(own: Mapping[str, Difference]) -> dict[str, Any]:
    return {measure: difference_record(one) for measure, one in own.items()}


def _unwritable(out: Path, error: OSError) -> Exception:
    value = f"{out} ({error.strerror})"
    return wrong_setting("out", "the folder of the comparison must be writable", value, "name another folder")
