"""What a training needs of memory and disk against what is free: refused before the first step, with a way out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from medseg.engines.training.foreseeing.load import Load
from medseg.values.error import wrong_setting
from medseg.values.plan import Plan

CHECKPOINTS = 3  # the last two, and the draft of the next one
KEPT_WEIGHTS = 5  # best and last, averaged and raw, and the model package


@dataclass(frozen=True, slots=True)
class Pause:
    """Bytes that are held between steps, while scans are validated and checkpoints written, beside `Load.fixed`.

    `here` where training computes, `host` on the computer where that is another place (a CUDA device).
    """

    here: int = 0
    host: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """A load, how many patches are to be computed `at_once`, and what else could be done about it.

    `divisible` where a batch may be computed in parts. `sparing` is the load with machine.recompute=true, None where
    that is set already or not possible. `pause` is what comes between steps, and `spared` what it would be with other
    settings, by what to set, the mildest one first.
    """

    plan: Plan
    load: Load
    at_once: int
    divisible: bool
    sparing: Load | None
    pause: Pause = Pause()
    spared: Mapping[str, Pause] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """What a step needs."""
        return self.load.of(self.at_once)

    @property
    def paused(self) -> int:
        """What is needed between steps, where training computes."""
        return self.load.fixed + self.pause.here

    @property
    def most(self) -> int:
        """What the whole training needs where it computes."""
        return max(self.bytes, self.paused)


def demand_memory(wish: Wish, free: int, where: str) -> None:
    """Refuse (exit 2) a step that needs more than the `free` bytes of a place, naming the setting that makes it fit."""
    if wish.bytes <= free:
        return
    setting, remedy = _remedy(wish, free)
    rule = f"a training step (about {amount(wish.bytes)}, {wish.at_once} patches at once) fits in {where}"
    raise wrong_setting(setting, rule, f"{amount(free)} free", remedy)


def demand_memory_between(wish: Wish, free: int, host: int, where: str) -> None:
    """Refuse (exit 2) validations that need more than the `free` bytes of a place, or the `host` bytes beside it."""
    if _fits(wish, wish.pause, free, host):
        return
    remedies = (f"set {name}" for name, pause in wish.spared.items() if _fits(wish, pause, free, host))
    remedy = next(remedies, "lower patches.size or network.width, or take a machine with more memory")
    here = wish.paused > free
    need, room, place = (wish.paused, free, where) if here else (wish.pause.host, host, "the memory of the computer")
    rule = f"a validation (about {amount(need)}) fits in {place}"
    raise wrong_setting("machine.memory_gb", rule, f"{amount(room)} free", remedy)


def _fits(wish: Wish, pause: Pause, free: int, host: int) -> bool:
    return wish.load.fixed + pause.here <= free and pause.host <= host


def _remedy(wish: Wish, free: int) -> tuple[str, str]:
    least = 1 if wish.divisible else wish.at_once
    if wish.load.fitting(free) >= least:
        return "machine.microbatch", f"set machine.microbatch={wish.load.fitting(free)}: only rounding changes"
    sparing = 0 if wish.sparing is None else wish.sparing.fitting(free)
    if sparing >= least:
        more = "" if sparing >= wish.at_once else f" and machine.microbatch={sparing}"
        return "machine.recompute", f"set machine.recompute=true{more}: only rounding changes"
    patch = min(load.patch for load in (wish.load, wish.sparing) if load is not None)
    room = (free - wish.load.fixed) / max(1, least * patch)
    if room <= 0:
        return "network.width", "lower network.width or network.widest, or take a machine with more memory"
    size = smaller_patch(wish.plan, room)
    spared = " with machine.recompute=true" if wish.sparing is not None else ""
    parts = " and machine.microbatch=1" if wish.divisible and wish.at_once > 1 else ""
    return "patches.size", f"set patches.size={size}{spared}{parts}, or lower network.width"


def smaller_patch(plan: Plan, share: float) -> list[int]:
    """Return a patch with at most `share` of the voxels, the same form, and sizes that the network's steps divide."""
    axes = [axis for axis in range(3) if axis != plan.plane]
    steps = [prod(stride[place] for stride in plan.architecture.strides) for place in range(len(axes))]
    factor = min(1.0, share) ** (1 / len(axes))
    return [max(step, int(plan.patch[axis] * factor) // step * step) for axis, step in zip(axes, steps, strict=True)]


def stored(load: Load) -> int:
    """Return the bytes of all checkpoints and weights that are on the disk at once."""
    return CHECKPOINTS * load.stored + KEPT_WEIGHTS * load.weights


def demand_disk(load: Load, out: Path) -> None:
    """Refuse (exit 2) a disk that has no room for the checkpoints and the weights of a training in `out`."""
    need = stored(load)
    there = sum(path.stat().st_size for path in (out / "checkpoint").rglob("*") if path.is_file())
    free = shutil.disk_usage(out).free + there
    if need > free:
        rule = f"checkpoints and weights (about {amount(need)}) fit on the disk of {out}"
        raise wrong_setting(
            "machine.store", rule, f"{amount(free)} free", "set machine.store to a folder with more room"
        )


def amount(count: int) -> str:
    """Write a number of bytes, e.g. `1.5 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"
