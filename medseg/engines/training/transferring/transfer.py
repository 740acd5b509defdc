"""Starting from the weights of another training: which fit, which are adapted, which stay random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medseg.engines.training.transferring.ports import Axis, Ports, match, ranked
from medseg.values.error import Refusal
from medseg.values.settings import Settings

_MOST_NAMES = 8


class Transfer(Settings):
    """Where the first weights came from, tensor by tensor; names are those of the network in training.

    `weights` is the SHA-256 of the package's weights. Of the tensors `adapted`, with what was done, those in
    `partly_new` have entries that the package could not give. `new` ones kept their random values, with the reason.
    `unused` are tensors of the package that found no place. `share` of all values are the package's. `frozen` names the
    parts that training leaves as they are.
    """

    weights: str
    taken: tuple[str, ...]
    adapted: dict[str, str]
    partly_new: tuple[str, ...]
    new: dict[str, str]
    unused: tuple[str, ...]
    share: float
    frozen: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """How many tensors have values of the package."""
        return len(self.taken) + len(self.adapted)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Weights of a package by name, their digest, and what goes in and out of its network."""

    tensors: Mapping[str, Tensor]
    digest: str
    ports: Ports


@dataclass(frozen=True, slots=True)
class _Fit:
    """What becomes of one tensor: its values, None to keep the random ones; what to say; how many values are known."""

    values: Tensor | None
    text: str = ""
    known: int = 0


@dataclass(slots=True)
class _Notes:
    taken: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)
    partly_new: list[str] = field(default_factory=list)
    new: dict[str, str] = field(default_factory=dict)


@torch.no_grad()
def transfer(network: nn.Module, axes: Mapping[str, Axis], ports: Ports, given: Given) -> Transfer:
    """Put the values of a package into `network` in place, where they fit by name and shape; return what was done.

    A channel or output goes by its name. An output that the package does not know keeps its random weights. A channel
    that it does not know starts with weights 0, so that at first the network answers as it did without it; where it
    knows none of the channels, each starts with the mean of those it had, times their number over the new number.
    Names may differ in the numbers of layers without weights (dropout). Refuses values that are not finite.
    """
    state, notes, known, total = network.state_dict(), _Notes(), 0, 0
    theirs = dict(zip(ranked(given.tensors), given.tensors.items(), strict=True))
    placed = set()
    for name, place in zip(state, ranked(state), strict=True):
        old_name, old = theirs.get(place, ("", None))
        fit = _fit(state[name], old, axes.get(name), ports, given.ports)
        total += state[name].numel()
        _note(notes, name, fit, state[name])
        if fit.values is not None:
            state[name].copy_(fit.values)
            known += fit.known
            placed.add(old_name)
    unused = tuple(name for name in given.tensors if name not in placed)
    share = round(known / max(1, total), 6)
    return Transfer(
        weights=given.digest,
        taken=tuple(notes.taken),
        adapted=notes.adapted,
        partly_new=tuple(notes.partly_new),
        new=notes.new,
        unused=unused,
        share=share,
    )


def _note(notes: _Notes, name: str, fit: _Fit, own: Tensor) -> None:
    if fit.values is None:
        notes.new[name] = fit.text
        return
    if not torch.isfinite(fit.values).all():
        raise Refusal("training.start_from", f"the weights {name} are finite", "nan or inf", "start from another one")
    if not fit.text:
        notes.taken.append(name)
        return
    notes.adapted[name] = fit.text
    if fit.known < own.numel():
        notes.partly_new.append(name)


def _fit(own: Tensor, old: Tensor | None, axis: Axis | None, ports: Ports, given: Ports) -> _Fit:
    if old is None:
        return _Fit(None, "the package has no weights of this name")
    if own.is_floating_point() != old.is_floating_point():
        return _Fit(None, f"numbers are {old.dtype} there, {own.dtype} here")
    if axis is not None and getattr(ports, axis.side) != getattr(given, axis.side):
        return _adapted(own, old, axis, ports, given)
    return _Fit(old, "", own.numel()) if own.shape == old.shape else _other_shape(own, old)


def _adapted(own: Tensor, old: Tensor, axis: Axis, ports: Ports, given: Ports) -> _Fit:
    """Bring the entries of one axis into the order of the new channels or outputs."""
    old_names, new_names = getattr(given, axis.side), getattr(ports, axis.side)
    source = match(old_names, new_names)
    if source == tuple(range(len(old_names))) and own.shape == old.shape:
        return _Fit(old, "", own.numel())
    if axis.axis is None:
        return _Fit(None, f"cannot be adapted to other {axis.side}")
    if _beside(own, axis.axis) != _beside(old, axis.axis) or old.shape[axis.axis] != len(old_names):
        return _other_shape(own, old)
    if axis.side == "channels":
        values = _channels(own, old, axis.axis, source)
    elif any(place is not None for place in source):
        values = _rows(own, old, axis.axis, source)
    else:
        return _Fit(None, f"none of its outputs ({_listed(new_names)}) is one of the package's")
    per_entry = own.numel() // max(1, len(source))
    known = per_entry * sum(place is not None for place in source)
    return _Fit(values, _told(axis.side, source, old_names, new_names), known)


def _channels(own: Tensor, old: Tensor, axis: int, source: tuple[int | None, ...]) -> Tensor:
    if all(place is None for place in source):
        mean = old.mean(axis, keepdim=True) * (old.shape[axis] / own.shape[axis])
        return mean.expand_as(own)
    return _rows(torch.zeros_like(own), old, axis, source)


def _rows(start: Tensor, old: Tensor, axis: int, source: tuple[int | None, ...]) -> Tensor:
    values = start.clone()
    for place, origin in enumerate(source):
        if origin is not None:
            values.select(axis, place).copy_(old.select(axis, origin))
    return values


def _told(side: str, source: tuple[int | None, ...], old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """Say in words which channels or outputs are the package's, which are new and which were left behind."""
    kept = [name for name, place in zip(new, source, strict=True) if place is not None]
    fresh = [name for name, place in zip(new, source, strict=True) if place is None]
    gone = [name for place, name in enumerate(old) if place not in source]
    if side == "channels" and not kept:
        return f"channels {_listed(fresh)} start with the mean of {_listed(old)}"
    new_start = "start at 0" if side == "channels" else "start at random"
    parts = [f"{side} {_listed(kept)} taken"]
    parts += [f"{_listed(fresh)} {new_start}"] if fresh else []
    parts += [f"{_listed(gone)} left behind"] if gone else []
    return "; ".join(parts)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(name or "unnamed" for name in names[:_MOST_NAMES]) + more


def _other_shape(own: Tensor, old: Tensor) -> _Fit:
    return _Fit(None, f"the shape is {tuple(old.shape)} there, {tuple(own.shape)} here")


def _beside(tensor: Tensor, axis: int) -> tuple[int, ...]:
    return tuple(size for place, size in enumerate(tensor.shape) if place != axis)
