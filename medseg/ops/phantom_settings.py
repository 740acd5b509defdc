"""Settings of the head phantoms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from medseg.values.settings import Settings


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"a range goes from low to high, got {limits}; swap its two numbers")
    return limits


_Length = Annotated[float, Field(gt=0, le=100)]
_Factor = Annotated[float, Field(gt=0, le=3)]
_Noise = Annotated[float, Field(ge=0, le=0.5)]
_Voxels = Annotated[int, Field(ge=24, le=256)]
_Few = Annotated[int, Field(ge=1, le=6)]


class PhantomSettings(Settings):
    """How many heads, how large, and how hard. Pairs are ranges to draw from evenly."""

    kind: Literal["phantom"] = "phantom"
    seed: int = Field(default=0, ge=0, description="another seed, other heads")
    subjects: int = Field(default=36, ge=1, le=999, description="number of heads")
    healthy_share: float = Field(default=1 / 3, ge=0, le=1, description="share of subjects without a lesion")
    spacing_mm: Annotated[tuple[_Length, _Length], AfterValidator(_ascending)] = Field(
        default=(2.6, 3.4), description="voxel edge, drawn for each axis"
    )
    voxels: Annotated[tuple[_Voxels, _Voxels], AfterValidator(_ascending)] = Field(
        default=(52, 72), description="fewest and most voxels along an axis; a head that needs more is cut off"
    )
    head_scale: Annotated[tuple[_Factor, _Factor], AfterValidator(_ascending)] = Field(
        default=(0.9, 1.06), description="size of the head; 1 is 146 x 174 x 142 mm"
    )
    rotation_degrees: float = Field(default=15.0, ge=0, le=30, description="largest tilt about each axis")
    shift_mm: float = Field(default=6.0, ge=0, le=40, description="largest shift of the head along each axis")
    oblique_share: float = Field(default=0.25, ge=0, le=1, description="share of scans whose affine carries the tilt")
    lesions: Annotated[tuple[_Few, _Few], AfterValidator(_ascending)] = Field(
        default=(1, 3), description="lesions in a subject that is not healthy"
    )
    core_radius_mm: Annotated[tuple[_Length, _Length], AfterValidator(_ascending)] = Field(
        default=(4.0, 14.0), description="mean radius of a lesion's core"
    )
    oedema_mm: Annotated[tuple[_Length, _Length], AfterValidator(_ascending)] = Field(
        default=(5.0, 9.0), description="width of the oedema around a core"
    )
    contrast: Annotated[tuple[_Factor, _Factor], AfterValidator(_ascending)] = Field(
        default=(0.75, 1.15), description="how far a lesion's intensity goes from tissue to its own"
    )
    noise: Annotated[tuple[_Noise, _Noise], AfterValidator(_ascending)] = Field(
        default=(0.03, 0.06), description="standard deviation of the noise; white matter is about 1"
    )
    bias: float = Field(default=0.15, ge=0, le=1, description="strength of the smooth shading, as a logarithm")
