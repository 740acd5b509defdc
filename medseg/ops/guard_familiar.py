"""What training scans looked like, in a few numbers that travel with the weights."""

from __future__ import annotations

from medseg.ops.guard_pictures import Picture
from medseg.ops.guard_usual import Usual
from medseg.ops.set_channels import Difference
from medseg.values.settings import Settings


class Grid(Settings):
    """Decimal logarithms of lengths in mm along Right, Anterior and Superior: voxels, whole scan, box of the body."""

    spacing_mm: tuple[Usual, ...] = ()
    whole_mm: tuple[Usual, ...] = ()
    body_mm: tuple[Usual, ...] = ()


class FamiliarChannel(Settings):
    """The training scans that have a channel: how many, `guard_measures.MEASURES` of them, and their pictures.

    `misfit` is the logarithm of how far each was from the pictures of the others. Neither is known from few scans.
    """

    cases: int
    measures: dict[str, Usual]
    picture: Picture | None = None
    misfit: Usual | None = None


class FamiliarPair(Settings):
    """How two channels differ: by their pictures (`least`: see `Familiar.poses`) and by their intensities.

    None where they do not in nearly all scans, or where too few scans have both.
    """

    first: str
    second: str
    least: float | None = None
    difference: Difference | None = None


class Familiar(Settings):
    """What training scans looked like, in a few numbers: what the guard holds a new scan against.

    `axes` counts the stored orientations.  `poses`: by how much the pictures of a scan are at least expected to fit
    better as they are than turned (logarithm of the ratio of misfits), by the letters of the axes; poses in which
    training scans look too much as they are, so that nothing can be said, are absent.
    """

    cases: int
    axes: dict[str, int] = {}
    grid: Grid = Grid()
    channels: dict[str, FamiliarChannel] = {}
    poses: dict[str, float] = {}
    pairs: tuple[FamiliarPair, ...] = ()
