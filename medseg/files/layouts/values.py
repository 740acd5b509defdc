"""What a data set is told to be, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from medseg.files.reading import Reading

LayoutName = Literal["msd", "nnunet", "brats", "bids", "pairs", "csv"]
Part = Literal["train", "validation", "held_out"]


class DataSettings(Reading):
    """A folder of scans, and what its masks mean.

    A relative `root` is relative to where the command was started. It is no part of any result: see the index stage.
    """

    kind: Literal["folder"] = "folder"
    root: str | None = Field(None, description="the folder of the data set")
    layout: Literal["auto"] | LayoutName = Field("auto", description="auto looks at what is in the folder")
    channels: dict[str, str] = Field({}, description="channel name -> file stem or pattern, like {PET: PET_image}")
    mask: str | None = Field(None, description="file stem or pattern of the mask, like PET_mask")
    labels: dict[str, int] = Field({}, description="label name -> number in the masks, like {core: 1, oedema: 2}")
    regions: dict[str, tuple[int, ...]] = Field(
        {}, description="region name -> its label numbers, like {tumour: [1, 2]}"
    )
    tumour: str | None = Field(None, description="the region that makes a scan a tumour scan")
    ignore: int | None = Field(None, description="number in the masks of voxels that nobody annotated")
    subject: str | None = Field(
        None, description="whose scan it is: a column of the CSV, or a regular expression with one group on case names"
    )
    site: str | None = Field(None, description="where it was made: a column, or a regular expression with one group")
    group: str | None = Field(
        None, description="what splits keep in proportion: a column, or a regular expression with one group"
    )
    missing_channel: Literal["refuse", "zeros"] = Field(
        "refuse", description="a case without one of the channels: refuse it, or fill the channel with zeros"
    )
    resample_channels: bool = Field(
        True, description="bring channels on other grids to the grid of the first one; false refuses them"
    )

    @property
    def reading(self) -> Reading:
        """How files are to be read."""
        return Reading(assume_orientation=self.assume_orientation, repair=self.repair)


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """A file below the data root, of which volume number `component` out of `volumes` is the channel."""

    path: Path
    component: int = 0
    volumes: int = 1


@dataclass(frozen=True, slots=True)
class FoundCase:
    """The files of one case that exist; a channel that does not is left out, and so is a mask (None).

    `annotated` are the names of the labels that were looked for in this case, None for all.
    """

    case: str
    subject: str
    channels: Mapping[str, ChannelFile]
    mask: Path | None
    site: str | None = None
    group: str | None = None
    part: Part | None = None
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a layout found: channels that every case should have, cases by name, and what is said of the masks.

    `labels`, `regions` and `ignore` are those that the data set itself names.
    """

    layout: str
    channels: tuple[str, ...]
    cases: tuple[FoundCase, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore: int | None = None
