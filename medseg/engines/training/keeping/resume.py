"""Going on from the newest sound checkpoint, in every process from the same one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.training.keeping.checkpoint import (
    Checkpoint,
    discard,
    keep_only_until,
    latest_checkpoint,
    read_checkpoint,
)
from medseg.engines.training.keeping.journal import Follower, Journal, long_enough
from medseg.engines.training.keeping.state import State
from medseg.engines.training.rules import Rules
from medseg.values.error import Refusal

logger = logging.getLogger(__name__)


def resume(rules: Rules, state: State, ranks: Ranks = ALONE, followers: Sequence[Follower] = ()) -> Journal:
    """Take `state` back to the newest sound checkpoint, or leave it at the start, and open the journal to match.

    The leading process chooses and tells the others; those must see the same files.
    """
    checkpoint = _chosen(rules, state, ranks)
    folder = rules.out if ranks.leads else None
    if checkpoint is None:
        return Journal(folder, followers=followers)
    state.restore(checkpoint.tensors, checkpoint.facts["tally"])
    curve, log = checkpoint.facts["lengths"]
    return Journal(folder, (curve, log), followers)


def _chosen(rules: Rules, state: State, ranks: Ranks) -> Checkpoint | None:
    folder = rules.out / "checkpoint"
    found = _leaders_choice(rules, state) if ranks.leads else None
    name = ranks.tell("" if found is None else found[0].name)
    if ranks.leads or not name:
        return None if found is None else found[1]
    checkpoint = read_checkpoint(folder / name)
    if checkpoint is None or not _belongs(checkpoint, rules, state):
        rule = "every process reads the checkpoint that the first one chose"
        raise Refusal(str(folder / name), rule, "nothing that fits", "give all machines the same machine.store")
    return checkpoint


def _leaders_choice(rules: Rules, state: State) -> tuple[Path, Checkpoint] | None:
    folder = rules.out / "checkpoint"
    if folder.exists() and not folder.is_dir():
        logger.warning("%s is no folder, so it is deleted", folder)
        discard(folder)
    found = latest_checkpoint(folder, lambda checkpoint: _belongs(checkpoint, rules, state))
    keep_only_until(folder, None if found is None else found[0])
    return found


def _belongs(checkpoint: Checkpoint, rules: Rules, state: State) -> bool:
    """Return whether a checkpoint is of this training and the curve still holds what it counted on."""
    facts = checkpoint.facts
    lengths = facts.get("lengths") if isinstance(facts, dict) and facts.get("stamp") == rules.stamp else None
    if not isinstance(lengths, list) or [type(length) for length in lengths] != [int, int] or min(lengths) < 0:
        return False
    fitting = long_enough(rules.out, (lengths[0], lengths[1]))
    return fitting and state.accepts(checkpoint.tensors, facts.get("tally"))
