"""How much surface passes through a corner of the voxel grid, told from its eight (in 2D: four) neighbours.

The neighbour code of a corner has one bit per neighbouring voxel: 128, 64, 32 ... 1 in index order (last axis fastest).
Source: the marching-cubes normals of surface-distance (Nikolov et al. 2018), copyright 2018 Google Inc., licence
Apache-2.0. An area does not depend on the sign of a normal, so the table is reduced to the ten magnitudes that occur.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from medseg.values.volume import FloatArray

# One letter per triangle: its normal, whose length is its area on a grid of 1 mm.
_NORMALS = {
    "x": (0.5, 0.0, 0.0),
    "y": (0.0, 0.5, 0.0),
    "z": (0.0, 0.0, 0.5),
    "a": (0.0, 0.25, 0.25),
    "b": (0.25, 0.0, 0.25),
    "c": (0.25, 0.25, 0.0),
    "s": (0.125, 0.125, 0.125),
    "m": (0.25, 0.25, 0.25),
    "l": (0.375, 0.375, 0.375),
}
# One word per neighbour code 0..255; "-" is a corner without surface.
_TRIANGLES = """
    - s s cc s bb ss xms s ss bb xms cc xms xms xx
    s aa ss yms ss zms sss smms ss aas bbs slab scc lasc xsms xsm
    s ss aa ysm ss sbb aas lasb ss sss zms mmss scc xmss alsc xms
    cc yms ysm yy ccs lbsc syms yms scc ymss lcsb yms cccc ccs scc cc
    s ss ss scc aa zms aas lasc ss sss sbb xmss yms mmss blas xms
    bb zms sbb blcs zms zz ssmz smz bbs zmss bbbb sbb blcs zms sbb bb
    ss sss saa ysms aas zmss aaaa aas sss ssss zmss sss ymss sss aas ss
    xms msms lasb yms lcas smz saa aa xmss sss bbs ss ccs ss ss s
    s ss ss ccs ss bbs sss xmss aa saa smz lcas yms lasb msms xms
    ss aas sss ymss sss zmss ssss sss aas aaaa zmss aas ysms saa sss ss
    bb sbb zms blcs sbb bbbb zmss bbs smz ssmz zz zms blcs sbb zms bb
    xms blas mmss yms xmss sbb sss ss lasc aas zms aa scc ss ss s
    cc scc ccs cccc yms lcsb ymss scc yms syms lbsc ccs yy ysm yms cc
    xms alsc xmss scc mmss zms sss ss lasb aas sbb ss ysm aa ss s
    xsm xsms lasc scc slab bbs aas ss smms sss zms ss yms ss aa s
    xx xms xms cc xms bb ss s xms ss bb s cc s s -
"""
# The share of the two edges (first axis, second axis) or of the diagonal in each of the 16 planar codes.
_CONTOURS = "- d d 2 d 1 D d d D 1 d 2 d d -"


@lru_cache(maxsize=32)
def surfel_areas(spacing_mm: tuple[float, ...]) -> FloatArray:
    """Return the surface of every neighbour code, read-only: `(256,)` mm2 for three edges, `(16,)` mm for two."""
    table = _contour_lengths(*spacing_mm) if len(spacing_mm) == 2 else _triangle_areas(*spacing_mm)
    table.setflags(write=False)
    return table


def _triangle_areas(x_mm: float, y_mm: float, z_mm: float) -> FloatArray:
    faces = np.array([y_mm * z_mm, x_mm * z_mm, x_mm * y_mm])
    areas = {letter: float(np.linalg.norm(np.array(normal) * faces)) for letter, normal in _NORMALS.items()} | {
        "-": 0.0
    }
    return np.array([sum(areas[letter] for letter in word) for word in _TRIANGLES.split()])


def _contour_lengths(x_mm: float, y_mm: float) -> FloatArray:
    diagonal = 0.5 * float(np.hypot(x_mm, y_mm))
    lengths = {"-": 0.0, "1": x_mm, "2": y_mm, "d": diagonal, "D": 2 * diagonal}
    return np.array([lengths[letter] for letter in _CONTOURS.split()])
