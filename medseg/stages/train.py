"""Train the network of the plan on the training cases, and keep the weights that did best on the validation cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.engines.device import computing, place
from medseg.engines.packages.package import is_finished
from medseg.engines.ranks import current
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.engines.training.clock import Clock
from medseg.engines.training.course import Course
from medseg.engines.training.fit import fit
from medseg.engines.training.foreseeing.watch import MemoryWatch, on_device
from medseg.engines.training.interrupt import Interrupts
from medseg.engines.training.keeping.failure import Diverged
from medseg.engines.training.keeping.resume import resume
from medseg.engines.training.keeping.state import start
from medseg.engines.training.rules import Rules
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.ops.losses import build_loss
from medseg.stages.training.card import card_of
from medseg.stages.training.failing import keep_failure
from medseg.stages.training.foresight import demand_room, foresee
from medseg.stages.training.keeping import keep, tidy
from medseg.stages.training.material import Material, read_material, stamp_of
from medseg.stages.training.pausing import with_pauses
from medseg.stages.training.scoring import examination, scans_of
from medseg.stages.training.settings import TrainStageSettings
from medseg.stages.training.starting import first_network
from medseg.stages.training.watching import announce, watched
from medseg.values.machine import Machine


def run(settings: TrainStageSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `plan`, `scheme`, `train/ID` and `validation/ID`; write model/, weights/, curve.csv and log.jsonl.

    A checkpoint of the same training in `out` is continued from; on the CPU, and with a budget in steps, weights and
    curve then get the same bytes as without the break. A signal to stop is obeyed after the step, with a checkpoint.
    A finished training in `out` is left as it is.
    """
    material, ranks = read_material(inputs), current()
    ranks.demand_patches(material.plan.batch)
    stamp = stamp_of(settings, material)
    if ranks.tell(str(is_finished(out / "model", stamp))) == str(True):
        if ranks.leads:
            tidy(out)
        return
    with computing(machine) as device, Interrupts() as interrupts, watched(machine) as trackers:
        wish = foresee(settings.network, settings.training, material.plan, machine, device, ranks)
        wish = with_pauses(wish, settings.network, scans_of(settings, material), machine, device)
        demand_room(wish, out, device, ranks)
        memory = MemoryWatch.begun(device, wish)
        network, started = first_network(settings, material.plan, material.scheme, material.start)
        state = start(place(network, device, machine), settings.training)
        rules = Rules(settings.training, out, machine.checkpoint_seconds, stamp, material.plan.batch)
        scans = examination(state.average, settings, material, device, machine.memory_gb)
        journal = resume(rules, state, ranks, followers=(trackers,))
        course = Course(rules, state, journal, Clock(ranks, interrupts), scans, memory)
        announce(trackers, course, settings, machine, started)
        supply = Supply(machine, device, ranks, None if wish is None else wish.most)
        try:
            _train(course, settings, material, supply)
        except Diverged as failed:
            if not ranks.leads:
                raise
            raise keep_failure(failed, settings, material, out, device) from failed
    if ranks.leads:
        keep(out, state, settings.training, card_of(settings, material, state, stamp, started))
        tidy(out)


def _train(course: Course, settings: TrainStageSettings, material: Material, supply: Supply) -> None:
    """Take the steps that are left, then finish."""
    loss = build_loss(settings.loss, material.membership(settings), ignore=material.scheme.ignore is not None)
    course.validate_if_due()  # a stop may have come before the validation of the last step
    means = Means(supply.machine, course.ranks, material.plan.batch)
    stepper = build_stepper(course.state, loss, settings.training, settings.seed, means)
    sampler = material.sampler(settings.seed, settings.patches, settings.augment)
    before = on_device(supply.device)
    with supplied(sampler, supply, course.state.tally.step + 1) as source:
        course.leave_out(on_device(supply.device) - before)
        taken = course.within_budget(source)
        for step in fit(stepper, taken, course.pace):
            course.after(step)
    course.finish()
