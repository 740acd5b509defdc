"""Where a NIfTI grid lies in space: which affine counts, and what is refused rather than guessed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from medseg.files.nifti.forms import (
    SOUND_EDGES,
    Form,
    are_edges,
    as_precise_as,
    edges_of,
    qform_of,
    rounded,
    rows,
    sform_of,
)
from medseg.files.reading import AS_IT_IS, Reading, Repair, override
from medseg.values.error import Refusal, wrong_setting
from medseg.values.finding import Finding
from medseg.values.volume import FloatArray

Grid = tuple[int, int, int]
_MEND = "mend the header"
_SAME_VOXELS = 1e-3
_AGREE_VOXELS = 0.1
_SAME_EDGE = 0.01
_LAST_CODE = 5
_WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
_UNITS = {1: "1 (metres)", 3: "3 (micrometres)"}


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """Affine `(4, 4)` from voxel indices to RAS+ mm, what is odd about it, and the part of the reading that made it."""

    affine: FloatArray
    findings: tuple[Finding, ...] = ()
    applied: Reading = AS_IT_IS


def check_choices(reading: Reading) -> None:
    """Refuse a reading that asks for both affines, or for directions that do not name each world axis once."""
    if {"use_sform", "use_qform"} <= set(reading.repair):
        raise wrong_setting("data.repair", "names one of use_sform and use_qform", "both", "take one of them out")
    letters = reading.assume_orientation
    if letters is not None and sorted(_WORLD[letter][0] for letter in letters) != [0, 1, 2]:
        rule = "names each of the axes right-left, front-back and up-down once"
        raise wrong_setting("data.assume_orientation", rule, letters, "write it like RAS or LPS")


def position_of(name: str, fields: Any, grid: Grid, reading: Reading) -> Position:
    """Judge the orientation in the `fields` of a NIfTI header whose grid has `grid` voxels.

    The one sound affine counts; of two that agree to a tenth of a voxel it is the sform, as in nibabel.
    Refuses (`Refusal` on `name`) other units than mm, no orientation at all, none that is sound, and two that disagree,
    unless `reading` says what to do.
    """
    unit = _unit(name, fields, reading)
    forms = [form for form in (sform_of(fields), qform_of(fields)) if form]
    sound = [form for form in forms if form.fault is None]
    if not forms:
        chosen = _assumed(name, fields, reading)
    elif not sound:
        raise _nothing_sound(name, forms)
    elif len(sound) == 2:
        chosen = _one_of_two(name, sound[0], sound[1], grid, reading)
    else:
        chosen = Position(sound[0].affine, tuple(_broken(form, sound[0]) for form in forms if form.fault))
    findings = (*unit, *_odd_codes(fields), *chosen.findings, *_odd_spacing(fields, chosen.affine))
    applied = _with_unit(chosen.applied) if unit else chosen.applied
    return Position(chosen.affine, findings, applied)


def _unit(name: str, fields: Any, reading: Reading) -> tuple[Finding, ...]:
    unit = int(fields["xyzt_units"]) & 7
    if unit in (0, 2):
        return ()
    rule, value = "lengths are in millimetres (xyzt_units 2)", f"code {_UNITS.get(unit, unit)}"
    setting = override("lengths_are_mm")
    if "lengths_are_mm" not in reading.repair:
        remedy = f"rewrite the header in mm, or take the numbers as mm with {setting}"
        raise Refusal(name, rule, value, remedy, override=setting)
    return (_note(rule, value, "the numbers were taken as mm", setting),)


def _with_unit(applied: Reading) -> Reading:
    return applied.model_copy(update={"repair": (*applied.repair, "lengths_are_mm")})


def _nothing_sound(name: str, forms: list[Form]) -> Refusal:
    rule, value = forms[0].fault or ("", "")
    others = "".join(f"; nor is the {form.name} sound ({form.fault[0]})" for form in forms[1:] if form.fault)
    return Refusal(name, rule, f"{forms[0].name} {value}{others}", _MEND)


def _assumed(name: str, fields: Any, reading: Reading) -> Position:
    rule, value = "the header names an orientation (sform or qform)", "neither of them is set"
    letters, edges = reading.assume_orientation, edges_of(fields)
    if not are_edges(edges):
        raise Refusal(name, SOUND_EDGES, f"{rounded(edges)}, and no orientation", _MEND)
    if letters is None:
        setting = "data.assume_orientation=RAS"
        remedy = f"name the directions of the stored axes, for instance {setting}"
        raise Refusal(name, rule, value, remedy, override=setting)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, letter in enumerate(letters):
        row, sign = _WORLD[letter]
        affine[row, axis] = sign * edges[axis]
    note = _note(rule, value, f"the axes were taken as {letters}", f"data.assume_orientation={letters}")
    return Position(affine, (note,), Reading(assume_orientation=letters))


def _one_of_two(name: str, sform: Form, qform: Form, grid: Grid, reading: Reading) -> Position:
    apart = _voxels_apart(sform.affine, as_precise_as(qform, sform), grid)
    if apart <= _SAME_VOXELS:
        return Position(sform.affine)
    rule = f"sform and qform agree to {_AGREE_VOXELS if apart > _AGREE_VOXELS else _SAME_VOXELS} voxel"
    value = f"corners {apart:.3g} voxels apart, sform {rows(sform.affine)}, qform {rows(qform.affine)}"
    choice: tuple[Repair, ...] = tuple(one for one in reading.repair if one in ("use_sform", "use_qform"))
    if apart > _AGREE_VOXELS and not choice:
        remedy = f"choose one with {override('use_sform')} or {override('use_qform')}"
        raise Refusal(name, rule, value, remedy, override=override("use_sform"))
    form = qform if "use_qform" in choice else sform
    if apart <= _AGREE_VOXELS and form is sform:
        return Position(form.affine, (_note(rule, value, "the sform was used"),))
    note = _note(rule, value, f"the {form.name} was used", override(choice[0]))
    return Position(form.affine, (note,), reading.only(*choice))


def _broken(form: Form, used: Form) -> Finding:
    rule, value = form.fault or ("", "")
    return _note(rule, f"{form.name} {value}", f"the {form.name} is broken, the {used.name} was used")


def _odd_codes(fields: Any) -> tuple[Finding, ...]:
    """Return what is odd about the codes: unknown ones count as set, though what they are aligned to is unknown."""
    found = []
    for name in ("sform_code", "qform_code"):
        code = int(fields[name])
        if not 0 <= code <= _LAST_CODE:
            remedy = f"the {name[:5]} was taken as {'set' if code > 0 else 'not set'}"
            found.append(_note(f"the {name} is a known one (0 to {_LAST_CODE})", str(code), remedy))
    return tuple(found)


def _odd_spacing(fields: Any, affine: FloatArray) -> tuple[Finding, ...]:
    edges, used = edges_of(fields), np.linalg.norm(affine[:3, :3], axis=0)
    if not are_edges(edges):
        remedy = "the affine was used; other programs may read other edges"
        return (Finding(severity="warn", rule=SOUND_EDGES, value=str(rounded(edges)), remedy=remedy),)
    if np.abs(used / edges - 1.0).max() > _SAME_EDGE:
        value = f"{rounded(edges)} in pixdim, {rounded(used)} in the affine"
        return (_note("pixdim and affine name the same voxel edges", value, "the affine was used"),)
    return ()


def _voxels_apart(one: FloatArray, other: FloatArray, grid: Grid) -> float:
    """Return how far the outer corners of the grid lie apart, in voxels of `one`, along the worst axis."""
    corners = np.array([[*corner, 1.0] for corner in product(*((-0.5, size - 0.5) for size in grid))])
    return float(np.abs(corners @ (np.linalg.inv(one) @ other).T - corners).max())


def _note(rule: str, value: str, remedy: str, setting: str | None = None) -> Finding:
    return Finding(severity="note", rule=rule, value=value, remedy=remedy, override=setting)
