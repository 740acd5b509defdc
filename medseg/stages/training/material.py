"""What training reads: the plan, the labels and the prepared cases by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medseg.engines.packages.package import CARD, WEIGHTS
from medseg.engines.sampling.drawing.shapes import check_case_weights
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.files.prepared import PreparedCase, read_prepared
from medseg.files.records import SchemeRecord, read_scheme
from medseg.ops.guard import Familiar
from medseg.ops.loss_readings import Table
from medseg.ops.losses import membership_of
from medseg.ops.preparing import Preparation
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import Refusal
from medseg.values.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What was read: the plan, the labels, what is done to a scan and what scans look like, and the cases by role.

    `start` is a package to start from.
    """

    plan: Plan
    scheme: SchemeRecord
    training: list[PreparedCase]
    validation: list[PreparedCase]
    preparation: Preparation
    familiar: Familiar
    start: Path | None = None

    def membership(self, settings: TrainStageSettings) -> Table | None:
        """Return which classes belong to which region, None where outputs are classes."""
        return None if settings.loss.activation == "softmax" else membership_of(self.scheme.scheme)

    def sampler(self, seed: int, patches: PatchSettings, augment: AugmentSettings) -> Sampler:
        """Return what the batches of training are drawn from. Refuses weights of cases that are not here."""
        check_case_weights(patches, [case.case for case in (*self.training, *self.validation)])
        return Sampler(seed, self.training, self.plan, patches, augment)


def read_material(inputs: Mapping[str, Path]) -> Material:
    """Read `plan`, `scheme`, `preparation`, `familiar`, `train/ID` and `validation/ID`.

    Refuses an empty training set and unlike channels.

    `start` is an input where training starts from a package.
    """
    plan = Plan.model_validate_json(inputs["plan"].read_text(encoding="utf-8"))
    scheme = read_scheme(inputs["scheme"])
    training, validation = (_cases(inputs, role, plan) for role in ("train/", "validation/"))
    if not training:
        raise Refusal("training set", "holds at least one case", 0, "add cases or lower split.held_out")
    preparation = Preparation.model_validate_json(inputs["preparation"].read_text(encoding="utf-8"))
    familiar = Familiar.model_validate_json(inputs["familiar"].read_text(encoding="utf-8"))
    return Material(plan, scheme, training, validation, preparation, familiar, inputs.get("start"))


def stamp_of(settings: TrainStageSettings, material: Material) -> str:
    """Return what a checkpoint must have been made with to be continued."""
    names = [[case.case for case in cases] for cases in (material.training, material.validation)]
    parts = [settings.model_dump(mode="json"), material.plan.model_dump(mode="json")]
    start = [] if material.start is None else [digest_of_file(material.start / name) for name in (CARD, WEIGHTS)]
    return digest_of([*parts, material.scheme.model_dump(mode="json"), names, *start])


def _cases(inputs: Mapping[str, Path], role: str, plan: Plan) -> list[PreparedCase]:
    """Open the cases of a role in the order of their ids; the order of `inputs` does not matter."""
    cases = [read_prepared(path) for name, path in sorted(inputs.items()) if name.startswith(role)]
    for case in cases:
        if case.image.shape[0] != plan.architecture.channels:
            rule = f"a case has the plan's {plan.architecture.channels} channels"
            raise Refusal(case.case, rule, case.image.shape[0], "prepare all cases with the same data.channels")
    return cases
