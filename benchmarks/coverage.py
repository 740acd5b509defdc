"""How often the 95 % interval of a mean holds the truth: what medseg writes, beside the usual alternatives.

    nice -n 19 python benchmarks/coverage.py benchmarks/results/coverage.json [--draws 2000] [--resamples 2000]

Every draw is a held-out set from a population whose mean is known. Ours is `mean_interval`, here with fewer resamples
than its 10,000; one cell is done with both, to show that it makes no difference. The others are computed here, from
half as many resamples of their own. Promised is 93 to 97 % on the shapes of Dice and of differences at 20, 50 and 110
subjects; the other shapes and sizes are there to be known.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from medseg.ops.statistics import intervals
from medseg.ops.statistics.intervals import Clusters, cluster, mean_interval
from medseg.values.streams import stream

PROMISED_SIZES, PROMISED = (20, 50, 110), (0.93, 0.97)
SMALL_SIZES = (6, 8, 10)
LEVELS = np.array([0.025, 0.975])
# At this size coverage is nearest to its bounds, and there are two and a half times as many draws.
FINE = 20
# The cell that is done with all resamples too.
CHECKED = ("Dice, all found", 20)
MISSED, MISSED_MEAN, FOUND_MEAN = 0.05, 1 / 31, 8 / 9.5


def found(generator: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
    """Draw Dice of tumours that were found: skewed to the left."""
    return generator.beta(8, 1.5, size)


def mixed(generator: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
    """Draw Dice of which one in twenty is next to nothing."""
    missed = generator.random(size) < MISSED
    return np.where(missed, generator.beta(1, 30, size), found(generator, size))


def alone(draw: Callable[..., np.ndarray]) -> Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]:
    """Make a shape of one scan per subject."""
    return lambda generator, n: (draw(generator, n), np.arange(n))


def twice(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two scans per subject that are alike."""
    subject = mixed(generator, (n, 1))
    return (0.7 * subject + 0.3 * mixed(generator, (n, 2))).ravel(), np.repeat(np.arange(n), 2)


def uneven(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one to four scans per subject that are alike."""
    owner = np.repeat(np.arange(n), generator.integers(1, 5, n))
    return 0.7 * mixed(generator, n)[owner] + 0.3 * mixed(generator, owner.size), owner


def ceiling(generator: np.random.Generator, n: int) -> np.ndarray:
    """Draw F1 of lesions: two in five scans are perfect, one in ten is worth nothing."""
    kind = generator.random(n)
    return np.where(kind < 0.4, 1.0, np.where(kind < 0.5, 0.0, generator.beta(4, 2, n)))


def gains(generator: np.random.Generator, n: int) -> np.ndarray:
    """Draw paired differences of Dice: small ones, and one scan in twelve that one of the two runs does far better."""
    far = generator.choice([-0.3, 0.3], n, p=[0.4, 0.6]) * (generator.random(n) < 1 / 12)
    return generator.normal(0.01, 0.03, n) + far


def distances(generator: np.random.Generator, n: int) -> np.ndarray:
    """Draw Hausdorff distances in mm, three in a hundred a penalty."""
    return np.where(generator.random(n) < 0.03, 150.0, generator.lognormal(1.0, 0.8, n))


MIXED_MEAN = MISSED * MISSED_MEAN + (1 - MISSED) * FOUND_MEAN
# By name: the shape, its true mean, the bounds of its values, and whether coverage is promised.
SHAPES: dict[str, tuple[Callable[..., Any], float, tuple[float, float], bool]] = {
    "Dice, all found": (alone(found), FOUND_MEAN, (0, 1), True),
    "Dice, one in twenty missed": (alone(mixed), MIXED_MEAN, (0, 1), True),
    "Dice, two scans per subject": (twice, MIXED_MEAN, (0, 1), True),
    "Dice, one to four scans per subject": (uneven, MIXED_MEAN, (0, 1), True),
    "difference of two runs": (alone(gains), 0.01 + 0.2 * 0.3 / 12, (-1, 1), True),
    "lesion F1, many perfect": (alone(ceiling), 0.4 + 0.5 * 2 / 3, (0, 1), False),
    "Hausdorff distance with penalties": (
        alone(distances),
        0.03 * 150 + 0.97 * float(np.exp(1 + 0.32)),
        (0, np.inf),
        False,
    ),
}


def alternatives(groups: Clusters, generator: np.random.Generator, resamples: int) -> dict[str, np.ndarray]:
    """Return the ends of the interval by every other method, from the same resamples."""
    count, mean, error = groups.centred.size, groups.mean, groups.error
    drawn = generator.integers(count, size=(resamples, count))
    centred, sizes = groups.centred[drawn], groups.sizes[drawn]
    total = sizes.sum(1)
    shift = centred.sum(1) / total
    rest = (centred - shift[:, None] * sizes) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(shift / (np.sqrt(rest.sum(1) * count / (count - 1)) / total), nan=0.0)
    wide = stdtrit(count - 1, LEVELS) * np.sqrt(count / (count - 1))
    plain, expanded = bca_levels(groups, shift, ndtri(LEVELS)), bca_levels(groups, shift, wide)
    return {
        "Student's t": mean + stdtrit(count - 1, LEVELS) * error,
        "percentile": mean + np.quantile(shift, LEVELS),
        "BCa": mean + np.quantile(shift, plain),
        "BCa, expanded": mean + np.quantile(shift, expanded),
        "bootstrap-t": mean - error * np.quantile(ratio, LEVELS[::-1], method="inverted_cdf"),
        "Johnson's t": johnson(groups) + stdtrit(count - 1, LEVELS) * error,
    }


def bca_levels(groups: Clusters, shift: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the quantiles of the resampled means that BCa takes for the normal quantiles `wanted`."""
    below = (np.count_nonzero(shift < 0) + np.count_nonzero(shift <= 0)) / (2 * shift.size)
    left_out = -groups.centred / (groups.sizes.sum() - groups.sizes)
    pull = left_out.mean() - left_out
    power = np.sum(pull**2) ** 1.5
    if below in (0.0, 1.0) or power == 0:
        return ndtr(wanted)
    acceleration, bias = np.sum(pull**3) / (6 * power), ndtri(below)
    return ndtr(bias + (bias + wanted) / (1 - acceleration * (bias + wanted)))


def johnson(groups: Clusters) -> float:
    """Return the mean, moved for skewness as Johnson 1978 does."""
    third = float(np.mean(groups.centred**3)) / groups.sizes.mean() ** 3
    return groups.mean + third / (6 * groups.error**2 * groups.centred.size**2) if groups.error else groups.mean


def cover(shape: str, size: int, draws: int, resamples: int) -> dict[str, Any]:
    """Return by method how often the interval holds the truth, on which side it misses, and how wide it is.

    Without resamples of the alternatives, ours alone.
    """
    draw, truth, within, _ = SHAPES[shape]
    ends: dict[str, list[tuple[float, float]]] = {}
    for number in range(draws):
        values, subjects = draw(stream(number, "coverage", shape, size), size)
        own = mean_interval(values, subjects, number, "x", within=within, either_side=within[0] < 0)
        ends.setdefault("medseg", []).append((float(own[0] or 0.0), float(own[1] or 0.0)))
        if not resamples:
            continue
        generator = stream(number, "alternatives", shape, size)
        for name, pair in alternatives(cluster(values, subjects), generator, resamples).items():
            ends.setdefault(name, []).append(tuple(np.clip(pair, *within)))
    return {name: judge(np.array(pairs), truth) for name, pairs in ends.items()}


def judge(ends: np.ndarray, truth: float) -> dict[str, float]:
    """Judge intervals (draws, 2)."""
    low, high = ends[:, 0] > truth, ends[:, 1] < truth
    return {
        "covered": round(float(1 - np.mean(low | high)), 4),
        "too_high": round(float(np.mean(low)), 4),
        "too_low": round(float(np.mean(high)), 4),
        "median_width": round(float(np.median(ends[:, 1] - ends[:, 0])), 4),
    }


def table(results: dict[str, Any]) -> str:
    """Return the coverage of all methods in Markdown, percent."""
    methods = list(next(iter(next(iter(results.values())).values())))
    lines = [f"| shape | subjects | {' | '.join(methods)} |", "|---" * (len(methods) + 2) + "|"]
    for shape, sizes in results.items():
        for size, by_method in sizes.items():
            cells = [f"{100 * by_method[name]['covered']:.1f}" for name in methods]
            lines.append(f"| {shape} | {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Simulate, print the table and write the JSON; ends with 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=2000)
    asked = parser.parse_args(words)
    all_resamples = intervals.RESAMPLES
    content: dict[str, Any] = {
        "draws": {"of 20 subjects": asked.draws * 5 // 2, "else": asked.draws},
        "resamples": {"medseg": asked.resamples, "alternatives": asked.resamples // 2},
        "promised": {"shapes": [name for name, one in SHAPES.items() if one[3]], "covered": list(PROMISED)},
        "with_all_resamples": {
            "shape": CHECKED[0],
            "subjects": CHECKED[1],
            "resamples": all_resamples,
            "medseg": cover(*CHECKED, asked.draws, 0)["medseg"],
        },
        "coverage": {},
    }
    intervals.RESAMPLES = asked.resamples
    content["with_all_resamples"]["with_fewer"] = cover(*CHECKED, asked.draws, 0)["medseg"]
    print(content["with_all_resamples"], flush=True)
    results = content["coverage"]
    for shape in SHAPES:
        for size in (*SMALL_SIZES, *PROMISED_SIZES):
            draws = asked.draws * 5 // 2 if size == FINE else asked.draws
            results.setdefault(shape, {})[str(size)] = cover(shape, size, draws, asked.resamples // 2)
            print(shape, size, {name: one["covered"] for name, one in results[shape][str(size)].items()}, flush=True)
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(content, indent=1) + "\n")
    print(table(results))
    if broken := broken_promises(results):
        raise SystemExit(f"outside {PROMISED}: {'; '.join(broken)}")


def broken_promises(results: dict[str, Any]) -> list[str]:
    """Return where our interval covers too rarely or too often."""
    low, high = PROMISED
    return [
        f"{shape}, {size} subjects: {results[shape][str(size)]['medseg']['covered']}"
        for shape, one in SHAPES.items()
        for size in PROMISED_SIZES
        if one[3] and not low <= results[shape][str(size)]["medseg"]["covered"] <= high
    ]


if __name__ == "__main__":
    main()
