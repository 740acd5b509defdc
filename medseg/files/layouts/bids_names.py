"""Names of files in BIDS: entities and a suffix, parted by `_`, and which of them a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from medseg.files.scan_names import stem_of

IMAGE_DATATYPES = frozenset(("anat", "pet", "ct", "mr"))
_MASKS = frozenset(("mask", "dseg", "seg", "roi", "label", "lesion", "segmentation"))
_NO_IMAGES = _MASKS | {"probseg", "defacemask", "xfm"}
_BRAIN = frozenset(("desc-brain", "label-brain"))


@dataclass(frozen=True, slots=True)
class BidsFile:
    """A scan: its path below the root, the parts of its stem, its datatype folder and its folder below derivatives/.

    `datatype` is "" right in the folder of a subject or session, `pipeline` is "" for the raw data.
    """

    path: str
    parts: tuple[str, ...]
    datatype: str
    pipeline: str = ""

    @property
    def suffix(self) -> str:
        """The last part, like T1w."""
        return self.parts[-1]

    @property
    def own(self) -> tuple[str, ...]:
        """The parts that do not say whose scan it is."""
        return tuple(part for part in self.parts if not part.startswith(("sub-", "ses-")))

    def entity(self, key: str) -> str:
        """Return the part `key-...`, "" where there is none."""
        return next((part for part in self.parts if part.startswith(f"{key}-")), "")


def is_mask(file: BidsFile) -> bool:
    """Tell whether a name is that of a mask: by its suffix, or by ending in desc- or label-; never the brain's."""
    return (file.suffix in _MASKS or file.suffix.startswith(("desc-", "label-"))) and _BRAIN.isdisjoint(file.parts)


def is_image(file: BidsFile) -> bool:
    """Tell whether a name is that of an image that a channel can be."""
    return file.datatype in IMAGE_DATATYPES and file.suffix not in _NO_IMAGES and not is_mask(file)


def chosen(files: Iterable[BidsFile], pattern: str) -> list[BidsFile]:
    """Return the files that a pattern of the user's means: `*` and `?` stand for anything within a part.

    A file whose parts, but for subject and session, are just those of the pattern comes before files that have all of
    them and more: `T1w` is `sub-01_T1w`, and `sub-01_acq-3d_T1w` only where there is no such file.
    `rater1/label-lesion_mask` looks only into derivatives/rater1.
    """
    pipeline, _, name = pattern.rpartition("/")
    wanted = tuple(stem_of(name).split("_"))
    among = [file for file in files if not pipeline or fnmatchcase(file.pipeline, pipeline)]
    return [file for file in among if _same(file.own, wanted)] or [file for file in among if _has(file.parts, wanted)]


def _same(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _has(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    return all(any(fnmatchcase(part, one) for part in parts) for one in wanted)
