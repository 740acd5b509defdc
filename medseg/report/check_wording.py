"""The sentences of the doctor's page, and the command that applies the repairs it suggests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from medseg.report.wording import count

_REPAIR = re.compile(r"data\.repair=\[([a-z_,\s]*)\]")


def headline(scans: int, refused: int, warned: int, noticed: int) -> str:
    """Say how many scans can be used; `noticed` counts the warnings about the whole set."""
    if not scans:
        return "No scan was found."
    first = f"{_usable(scans, refused)}{_others(refused, warned, scans)}."
    if not noticed:
        return first
    verb = "deserves" if noticed == 1 else "deserve"
    return f"{first} {count(noticed, 'finding')} about the whole set {verb} attention."


def repairs(overrides: Iterable[str | None]) -> tuple[str, ...]:
    """Join overrides into as few settings as apply them all: one `data.repair=[...]`, and the others, each name once.

    Of two that contradict each other (use_sform, use_qform) the first counts.
    """
    names: dict[str, None] = {}
    settings: dict[str, str] = {}
    for override in overrides:
        if override is None:
            continue
        found = _REPAIR.fullmatch(override)
        if found:
            names.update(dict.fromkeys(name.strip() for name in found[1].split(",") if name.strip()))
        else:
            settings.setdefault(override.partition("=")[0], override)
    affines = [name for name in names if name in {"use_sform", "use_qform"}]
    kept = [name for name in names if name not in affines[1:]]
    return (*settings.values(), *([f"data.repair=[{','.join(kept)}]"] if kept else []))


def command_line(words: Sequence[str], overrides: Iterable[str | None]) -> str:
    """Write the command that was given with the overrides added, quoted for a shell; "" where there is nothing to add.

    `words` are the settings as they were typed; a `data.repair` among them is kept and added to.
    """
    added = repairs(overrides)
    if not added:
        return ""
    own = [word for word in words if word.startswith("data.repair=")]
    whole = repairs([*own, *added])
    replaced = {word.partition("=")[0] for word in whole}
    kept = [word for word in words if word.lstrip("+").partition("=")[0] not in replaced]
    return shlex.join(["medseg", "check", *kept, *whole])


def _usable(scans: int, refused: int) -> str:
    usable = scans - refused
    if not refused:
        return "The one scan can be used" if scans == 1 else f"All {scans} scans can be used"
    return f"{usable or 'None'} of {count(scans, 'scan')} can be used"


def _others(refused: int, warned: int, scans: int) -> str:
    parts = []
    if refused and refused < scans:
        parts.append(f"{refused} {'is' if refused == 1 else 'are'} refused")
    if warned:
        more = " more" if refused else ""
        parts.append(f"{warned}{more} should be looked at")
    return "".join(f"{', and ' if place else '; '}{text}" for place, text in enumerate(parts))
