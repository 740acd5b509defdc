"""Which prediction belongs to which truth: by name, and never by guessing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.experiment.evaluating.people import shown
from medseg.files.layouts.masks import PROBABILITIES, Masks, find_masks
from medseg.files.layouts.unlabelled import ScanSettings, find_scans
from medseg.files.layouts.values import ChannelFile, FoundCase
from medseg.values.error import wrong_setting

_SEPARATORS = "_-. "


@dataclass(frozen=True, slots=True)
class Pair:
    """One case: paths of truth and prediction (None: missing), and what else there is of it.

    `annotated` are the names of the labels that were looked for in the truth, None for all.
    """

    case: str
    subject: str
    site: str | None
    truth: Path
    predicted: Path | None
    image: ChannelFile | None = None
    probabilities: Path | None = None
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the paths of cases start from, and what was found there by name of the case."""

    truth: Path
    predictions: Path
    masks: Masks
    images: Mapping[str, ChannelFile]
    probabilities: Mapping[str, Path]


def pairs_of(cases: Sequence[FoundCase], sources: Sources) -> tuple[Pair, ...]:
    """Return a pair for each case, with absolute paths, in the order of the cases."""
    return tuple(_pair(case, sources) for case in cases if case.mask is not None)


def check_names(cases: Iterable[FoundCase], truths: Iterable[FoundCase], masks: Masks, suffix: str) -> None:
    """Refuse (exit 2) predictions that are named otherwise than the truth, rather than call them missing.

    cases: those to be scored, of all `truths`. Names do not fit where none is shared; where a case without a prediction
    and a prediction without truth differ in upper and lower case only; and where the prediction's name is that of the
    case and more, after one of `_-. `.
    """
    names = {case.case for case in cases}
    missing, extra = names - masks.paths.keys(), sorted(masks.paths.keys() - {case.case for case in truths})
    if not masks.paths:
        rule = f"holds masks with names that end in {suffix}" if suffix else "holds masks"
        value = f"none, but {shown(masks.others)}" if masks.others else "none"
        raise wrong_setting("predictions", rule, value, "check path and suffix")
    alike = [(case, other) for other in extra if (case := _meant(other, missing))]
    if alike:
        case, other = alike[0]
        raise wrong_setting("predictions", "have the names of the true masks", _differing(alike), _remedy(case, other))
    if len(missing) == len(names):
        value = f"{shown(masks.paths)} where the truth has {shown(names)}"
        remedy = "rename one side, or set suffix or truth_suffix to what is not the case's name"
        raise wrong_setting("predictions", "have the names of the true masks", value, remedy)


def find_images(images: Path, out: Path) -> dict[str, ChannelFile]:
    """Return the first channel of each scan in a folder, in any layout, by case; paths are absolute."""
    found = find_scans(images, ScanSettings(), ("image",), out)
    folder = (images if images.is_dir() else images.parent).resolve()
    return {case.case: _below(folder, first) for case in found.cases if (first := first_channel(case)) is not None}


def first_channel(case: FoundCase) -> ChannelFile | None:
    """Return the first channel that a case has, None for none."""
    return next(iter(case.channels.values()), None)


def find_maps(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the probability maps in a folder, by case, as absolute paths.

    They are called CASE.probabilities, as `segment` names them; where none is, as the predictions are.
    """
    named = find_masks(folder, "probabilities", PROBABILITIES).paths
    found = named or find_masks(folder, "probabilities", suffix).paths
    return {case: folder.resolve() / path for case, path in found.items()}


def _pair(case: FoundCase, sources: Sources) -> Pair:
    predicted = sources.masks.paths.get(case.case)
    own = first_channel(case)
    return Pair(
        case=case.case,
        subject=case.subject,
        site=case.site,
        truth=sources.truth / (case.mask or ""),
        predicted=None if predicted is None else sources.predictions / predicted,
        image=sources.images.get(case.case) or (None if own is None else _below(sources.truth, own)),
        probabilities=sources.probabilities.get(case.case),
        annotated=case.annotated,
    )


def _below(folder: Path, file: ChannelFile) -> ChannelFile:
    return ChannelFile(folder / file.path, file.component, file.volumes)


def _meant(other: str, missing: Collection[str]) -> str | None:
    """Return the case that a prediction of another name is probably of."""
    low = other.lower()
    for case in sorted(missing, key=lambda name: (-len(name), name)):
        rest = low[len(case) :]
        if low.startswith(case.lower()) and (not rest or rest[0] in _SEPARATORS):
            return case
    return None


def _differing(alike: Sequence[tuple[str, str]]) -> str:
    case, other = alike[0]
    more = f" (and {len(alike) - 1} more like these)" if len(alike) > 1 else ""
    return f"{other} where the truth has {case}{more}"


def _remedy(case: str, other: str) -> str:
    if other.lower() == case.lower():
        return "write both alike, in upper and lower case too"
    return f"set suffix={other[len(case) :]} if that is the end of all of them, else rename or remove {other}"
