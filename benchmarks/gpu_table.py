"""The table of the GPU benchmark, its goals and what failed."""

from __future__ import annotations

from gpu_parts import CEILINGS, NORM, PARTS, PEER, Part

HEADS = ("bare", "device", "host", "bare ms", "idle % bare", "idle % device", "convolutions, % of matrix", "peak GB")


def shown(value: float | None, form: str) -> str:
    """Write a number, or that there is none."""
    return "not measured" if value is None else format(value, form)


def row(name: str, found: Part, matrix: float | None) -> str:
    """Return a row of the table."""
    voxels, bare, seen = found.get("voxels", 0), found.get("bare"), found.get("profile") or {}
    rates = [one and voxels / one["seconds"] / 1e6 for one in (bare, found.get("loop_device"), found.get("loop_host"))]
    loop = found.get("loop_device") or {}
    rate = convolution_share(found, matrix)
    cells = [name, *(shown(one, ".1f") for one in rates), shown(bare and bare["seconds"] * 1e3, ".1f")]
    cells += [shown(one and 100 * one, ".1f") for one in (seen.get("idle"), loop.get("idle"), rate)]
    return "| " + " | ".join([*cells, shown(found.get("peak_gigabytes"), ".1f")]) + " |"


def convolution_share(found: Part, matrix: float | None) -> float | None:
    """Return the rate of the convolutions as a share of that of the matrix product."""
    seconds = (found.get("profile") or {}).get("convolution_seconds")
    return found["flops"] / seconds / matrix if seconds and matrix else None


def norms(found: Part) -> list[str]:
    """Return a line per level with the milliseconds of the norm alone."""
    lines = []
    for level in ("fine", "coarse"):
        fused, plain = (found.get(f"{level}_{kind}_seconds") for kind in ("fused", "plain"))
        moved = found.get(f"{level}_bytes_per_second")
        lines.append(
            f"norm and activation of a {level} level, forward and backward: "
            f"fused {shown(fused and 1e3 * fused, '.3f')} ms ({shown(moved and moved / 1e9, '.0f')} GB/s), "
            f"plain {shown(plain and 1e3 * plain, '.3f')} ms"
        )
    return lines


def goals(parts: dict[str, Part], cuda: bool) -> list[str]:
    """Return the goals, each with the best that was measured."""
    matrix = parts.get(CEILINGS, {}).get("matrix_flops_per_second")
    ours = [one for name, one in parts.items() if PARTS[name]["kind"] == "own"]
    bare = [one["voxels"] / one["bare"]["seconds"] for one in ours if "bare" in one and one["batch"] == 2]
    best = [one["voxels"] / one["bare"]["seconds"] for one in ours if "bare" in one]
    other = parts.get(PEER, {})
    theirs = other["voxels"] / other["bare"]["seconds"] if "bare" in other else None
    idle = [one["loop_device"]["idle"] for one in ours if (one.get("loop_device") or {}).get("idle") is not None]
    shares = [share for one in ours if (share := convolution_share(one, matrix)) is not None]
    times = [max(rates) / theirs if cuda and theirs and rates else None for rates in (bare, best)]
    return [
        f"times as fast as nnU-Net's way, same batch (goal: 3): {shown(times[0], '.2f')}; at our best batch: "
        f"{shown(times[1], '.2f')}",
        f"idle share with two CPU threads, whole loop (goal: below 3 %): {shown(min(idle, default=None), '.2%')}",
        f"convolutions, of the matrix product (goal: 40 % or more): {shown(max(shares, default=None), '.1%')}",
    ]


def table(parts: dict[str, Part], dry: bool) -> str:
    """Return what was found, in Markdown, and then the goals and what failed."""
    here = next((one["here"] for one in parts.values() if "here" in one), {})
    top = parts.get(CEILINGS, {})
    matrix, copied = (top.get(f"{name}_per_second") for name in ("matrix_flops", "copied_bytes"))
    first = ", ".join(f"{key} {value}" for key, value in here.items()) + (" (dry run: no figures to keep)" * dry)
    second = f"matrix product {shown(matrix and matrix / 1e12, '.1f')} TFLOP/s, "
    second += f"copy {shown(copied and copied / 1e9, '.0f')} GB/s; rates in million voxels per second"
    lines = [first, second, "", "| part | " + " | ".join(HEADS) + " |", "|---" * (1 + len(HEADS)) + "|"]
    lines += [row(name, found, matrix) for name, found in parts.items() if name not in (CEILINGS, NORM)]
    lines += ["", *norms(parts.get(NORM, {}))]
    lines += ["", *goals(parts, bool(here.get("cuda"))), ""]
    lines += [f"{name}: {found[why]}" for name, found in parts.items() for why in ("refused", "error") if why in found]
    return "\n".join(lines)
