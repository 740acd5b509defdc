"""What a data set is told to be, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings


class DataSettings(Settings):
    """A folder of scans, and what its masks mean.

    A relative `root` is relative to where the command was started. It is no part of any result: see the index stage.
    """

    kind: Literal["folder"] = "folder"
    root: str | None = Field(None, description="the folder of the data set")
    layout: Literal["auto", "msd", "brats", "pairs"] = Field("auto", description="auto looks at what is in the folder")
    channels: dict[str, str] = Field({}, description="channel name -> file stem or pattern, like {PET: PET_image}")
    mask: str | None = Field(None, description="file stem or pattern of the mask, like PET_mask")
    labels: dict[str, int] = Field({}, description="label name -> number in the masks, like {core: 1, oedema: 2}")
    regions: dict[str, tuple[int, ...]] = Field(
        {}, description="region name -> its label numbers, like {tumour: [1, 2]}"
    )
    tumour: str | None = Field(None, description="the region that makes a scan a tumour scan")
    subject: str | None = Field(None, description="regular expression with one group: the subject within a case's name")


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """A file below the data root, of which volume number `component` out of `volumes` is the channel."""

    path: Path
    component: int = 0
    volumes: int = 1


@dataclass(frozen=True, slots=True)
class FoundCase:
    """The files of one case that exist; a channel that does not is left out, and so is a mask (None)."""

    case: str
    subject: str
    channels: Mapping[str, ChannelFile]
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a layout found: channels that every case should have, labels that the data set names, cases by name."""

    layout: str
    channels: tuple[str, ...]
    cases: tuple[FoundCase, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
