"""The channels of a data set: their order, how each is normalised, and which a case lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from medseg.files.records import CaseRecord
from medseg.ops.intensity import Kind
from medseg.ops.preparing import Preparation
from medseg.values.error import Refusal, wrong_setting


def normalisation_kinds(channels: Iterable[str], chosen: Kind | Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the kind of normalisation of every channel, in channel order; `chosen` is `prepare.normalise`.

    A channel without a kind is a wrong setting. Kinds of channels that are not used are passed over, so that a channel
    can be left out by `data.channels` alone.
    """
    names = list(channels)
    if isinstance(chosen, str):
        return dict.fromkeys(names, chosen)
    for name in names:
        if name not in chosen:
            rule = f"one kind for each channel of {names}"
            raise wrong_setting(f"prepare.normalise.{name}", rule, sorted(chosen), "name this one too")
    return {name: chosen[name] for name in names}


def check_channels(record: CaseRecord, preparation: Preparation) -> None:
    """Refuse a case whose channels, missing ones included, are not those of the preparation, in the same order."""
    found, known = list(record.channel_names), list(preparation.normalisations)
    if found != known:
        raise Refusal(
            record.case, f"the channels are {known} in this order", found, "give every case the same channels"
        )


def missing_channels(record: CaseRecord) -> tuple[int, ...]:
    """Return the indices of the channels that a case lacks, in the order of all channels."""
    return tuple(index for index, name in enumerate(record.channel_names) if name in record.missing)
