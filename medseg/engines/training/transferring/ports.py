"""What goes into a network and comes out of it, by name; which axes of its weights that concerns; names of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from medseg.files.records import SchemeRecord
from medseg.values.error import Refusal
from medseg.values.plan import Architecture

Side = Literal["channels", "outputs"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """Names of the image channels and of the outputs, in order; a channel of unknown name is ""."""

    channels: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of a tensor that has one entry per channel or output; None where it depends on them in another way."""

    side: Side
    axis: int | None


def ports_of(architecture: Architecture, channels: Sequence[str], scheme: SchemeRecord, activation: str) -> Ports:
    """Return the names: outputs are the regions with sigmoid; with softmax the background, then labels by number."""
    known = tuple(channels) if len(channels) == architecture.channels else ("",) * architecture.channels
    labels = sorted(scheme.labels, key=lambda name: scheme.labels[name])
    return Ports(known, tuple(scheme.regions) if activation == "sigmoid" else ("background", *labels))


def match(old: Sequence[str], new: Sequence[str]) -> tuple[int | None, ...]:
    """Return, for each new name, where it stands among the old ones, whatever its capitals; None where it does not.

    Where one of the two sides has no names, equally many are the same ones in the same order.
    """
    if not any(old) or not any(new):
        return tuple(range(len(new))) if len(old) == len(new) else (None,) * len(new)
    places = {name.casefold(): place for place, name in reversed(list(enumerate(old)))}
    return tuple(places.get(name.casefold()) for name in new)


def axes_of(build: Callable[[Architecture], nn.Module], architecture: Architecture) -> dict[str, Axis]:
    """Return which tensors of the network belong to channels or outputs, found by building it with more of them.

    Nothing is known of a network that cannot be built with one more, nor with twice as many.
    """
    shapes = _shapes(build(architecture))
    sides: tuple[Side, ...] = ("outputs", "channels")
    return {name: axis for side in sides for name, axis in _side(build, architecture, side, shapes).items()}


def ranked(names: Iterable[str]) -> list[str]:
    """Return the names, each number replaced by its rank among its siblings: layers without weights do not count."""
    split = [tuple(name.split(".")) for name in names]
    numbers: dict[tuple[str, ...], set[int]] = {}
    for parts in split:
        for place, part in enumerate(parts):
            if _is_number(part):
                numbers.setdefault(parts[:place], set()).add(int(part))
    ranks = {parent: {n: rank for rank, n in enumerate(sorted(found))} for parent, found in numbers.items()}
    return [
        ".".join(str(ranks[parts[:place]][int(part)]) if _is_number(part) else part for place, part in enumerate(parts))
        for parts in split
    ]


def _is_number(part: str) -> bool:
    return part.isdecimal() and len(part) < 10


def _side(
    build: Callable[[Architecture], nn.Module], architecture: Architecture, side: Side, shapes: Mapping[str, Shape]
) -> dict[str, Axis]:
    count = architecture.channels if side == "channels" else architecture.outputs
    for more in (1, count):
        try:
            wider = _shapes(build(architecture.model_copy(update={side: count + more})))
        except Refusal:
            continue
        changed = [name for name, shape in shapes.items() if wider.get(name) != shape]
        return {name: Axis(side, _grown(shapes[name], wider.get(name, ()), count, more)) for name in changed}
    return {}


def _grown(shape: Shape, wider: Shape, count: int, more: int) -> int | None:
    """Return the one axis that went from `count` to `count + more`, None where it was not as simple as that."""
    if len(shape) != len(wider):
        return None
    changed = [axis for axis, size in enumerate(shape) if wider[axis] != size]
    simple = len(changed) == 1 and (shape[changed[0]], wider[changed[0]]) == (count, count + more)
    return changed[0] if simple else None


def _shapes(network: nn.Module) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
