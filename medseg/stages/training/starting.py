"""The network that training begins with: random weights, or those of a package as far as they fit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from torch import nn

from medseg.engines.packages.package import CARD, WEIGHTS, Card, StartedFrom, read_card
from medseg.engines.training.transferring.freezing import freeze
from medseg.engines.training.transferring.ports import axes_of, ports_of
from medseg.engines.training.transferring.transfer import Given, Transfer, transfer
from medseg.files.records import SchemeRecord
from medseg.files.tensors import load_tensors, write_whole
from medseg.networks.build import build_network
from medseg.networks.settings import NetworkSettings
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.digests import digest_of_file
from medseg.values.error import wrong_setting
from medseg.values.plan import Architecture, Plan

logger = logging.getLogger(__name__)
SETTING = "training.start_from"


def first_network(
    settings: TrainStageSettings, plan: Plan, scheme: SchemeRecord, start: Path | None
) -> tuple[nn.Module, Transfer | None]:
    """Build the network, with the weights of the package `start` where they fit, and its frozen parts out of training.

    The second value says what was taken, None where all weights are random. Refuses (exit 2) a package of which nothing
    fits, naming the settings of its network, and to freeze weights that it does not have.
    """

    def build(architecture: Architecture) -> nn.Module:
        return build_network(settings.network, architecture, settings.seed, plan.patch)

    network = build(plan.architecture)
    if start is None:
        return network, None
    done = _taken(network, build, settings, plan, scheme, start)
    freeze(network, settings.training.freeze, (*done.new, *done.partly_new))
    return network, done.model_copy(update={"frozen": settings.training.freeze})


def tell(done: Transfer, out: Path) -> None:
    """Write transfer.json and tell in one line what was taken."""
    write_whole(out / "transfer.json", (done.model_dump_json(indent=1) + "\n").encode())
    said = sorted(set(done.adapted.values()))
    adapted = f", {len(done.adapted)} adapted ({'; '.join(said)})" if said else ""
    frozen = f"; {', '.join(done.frozen)} frozen" if done.frozen else ""
    counts = f"{len(done.taken)} of {done.found + len(done.new)} tensors taken{adapted}, {len(done.new)} new"
    logger.info(
        "starts from package %s: %s; %.1f %% of the values%s", done.weights[:12], counts, 100 * done.share, frozen
    )


def in_short(done: Transfer | None) -> StartedFrom | None:
    """Return what the card keeps of it."""
    if done is None:
        return None
    counts = {"taken": len(done.taken), "adapted": len(done.adapted), "new": len(done.new)}
    return StartedFrom(weights=done.weights, frozen=done.frozen, **counts)


def _taken(
    network: nn.Module,
    build: Callable[[Architecture], nn.Module],
    settings: TrainStageSettings,
    plan: Plan,
    scheme: SchemeRecord,
    package: Path,
) -> Transfer:
    card = read_card(package)
    theirs = ports_of(card.plan.architecture, card.channel_names, card.scheme, card.activation)
    ours = ports_of(plan.architecture, plan.channels, scheme, settings.loss.activation)
    given = Given(load_tensors(package / WEIGHTS), digest_of_file(package / WEIGHTS), theirs)
    axes = {} if ours == theirs else axes_of(build, plan.architecture)
    done = transfer(network, axes, ours, given)
    shapes = {name: tensor.ndim for name, tensor in network.state_dict().items()}
    if not any(shapes[name] > 1 for name in (*done.taken, *done.adapted)):
        raise _nothing_fits(settings.network, card, package)
    return done


def _nothing_fits(ours: NetworkSettings, card: Card, package: Path) -> Exception:
    """Make the refusal of a package of another network, with the settings that would make it fit."""
    own, other = ours.model_dump(mode="json"), card.network.model_dump(mode="json")
    differing = [name for name, value in other.items() if own.get(name) != value]
    if "kind" in differing:
        differing = ["kind", *(name for name in ("name", "width", "widest", "levels") if name in other)]
    words = " ".join(
        f"network={other[name]}" if name == "kind" else f"network.{name}={_word(other[name])}" for name in differing
    )
    remedy = f"set {words}, as the package was trained with" if words else f"see the plan in {package / CARD}"
    return wrong_setting(SETTING, "some weights of the package fit this network", "none", remedy)


def _word(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
