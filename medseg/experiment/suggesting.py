"""What may have been meant by the name of a setting that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

Model = type[BaseModel]
_ALIKE = 0.66
_MOST = 3


def suggestion(steps: Sequence[str], owner: Model | None, roots: Mapping[str, Model]) -> str:
    """Say what to do about the unknown last one of `steps`, the names that lead to a setting from the top.

    owner: the settings class that lacks it.  roots: each tree of settings, by its dotted name, "" at the top.
    Named are, in this order: the choice of the group that has such a setting, settings of just this name elsewhere, the
    nearest name there, the nearest one elsewhere, all names there.
    """
    name = steps[-1]
    known = sorted([*(owner.model_fields if owner else ()), *(root for root in roots if root and len(steps) == 1)])
    kinds = _kinds(steps, roots)
    if kinds:
        return f"it is a setting of {' and '.join(kinds)}"
    places = [place for root, model in roots.items() for place in _places(model, root)]
    same = [place for place in dict.fromkeys(places) if _key(name) in (_key(place), _key(_last(place)))]
    if same:
        return f"did you mean {' or '.join(same[:_MOST])}?"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5 if len(steps) > 1 else _ALIKE)
    if near:
        return f"did you mean '{near[0]}'?"
    alike = max(places, key=lambda place: _alike(name, place), default="")
    return f"did you mean {alike}?" if _alike(name, alike) >= _ALIKE else f"known here: {', '.join(known)}"


def models_in(annotation: Any) -> list[Model]:
    """Return the settings classes in a type, like the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def kinds_of(model: Model) -> tuple[Any, ...]:
    """Return the words that choose this class among others: those of its `kind`."""
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _kinds(steps: Sequence[str], roots: Mapping[str, Model]) -> list[str]:
    """Name the choices of a group, like network=monai, that have the setting."""
    if len(steps) != 2 or "" not in roots or steps[0] not in roots[""].model_fields:
        return []
    members = models_in(roots[""].model_fields[steps[0]].annotation)
    return [f"{steps[0]}={kind}" for one in members if steps[1] in one.model_fields for kind in kinds_of(one)]


def _places(model: Model, above: str) -> Iterator[str]:
    """Yield the dotted names of all settings of a class and of those inside it."""
    for name, field in model.model_fields.items():
        place = f"{above}.{name}" if above else name
        inner = models_in(field.annotation)
        if not inner:
            yield place
        for one in inner:
            yield from _places(one, place)


def _key(name: str) -> str:
    """Return a name without what parts its words."""
    return re.sub(r"[._-]", "", name).lower()


def _last(place: str) -> str:
    return place.rpartition(".")[2]


def _alike(name: str, place: str) -> float:
    """Return how alike a name is to the last part of a setting's dotted name, 0..1."""
    return difflib.SequenceMatcher(None, name.lower(), _last(place)).ratio()
