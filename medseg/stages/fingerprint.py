"""Look at the training cases only, and derive the plan: grid, normalisation, patch, depth, widths and batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medseg.engines.sampling.settings import PatchSettings
from medseg.files.records import CaseRecord, SchemeRecord, read_case, read_scheme, write_record
from medseg.networks.settings import NetworkSettings
from medseg.ops.guard import familiar_of
from medseg.ops.intensity import fit_normalisation
from medseg.ops.loss_settings import LossSettings
from medseg.ops.planning import Triple, Wishes, common_spacing, features, plan_kernels, plan_patch, slice_axis
from medseg.ops.preparing import Preparation, PrepareSettings, resampled_shape
from medseg.stages.adoption import adopted
from medseg.stages.channels import normalisation_kinds
from medseg.stages.look import Look, joined, look_at
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from medseg.values.progress import tell
from medseg.values.settings import Settings


class FingerprintStage(Settings):
    """Settings of the stage: those of every group that has a say in the plan."""

    seed: int
    prepare: PrepareSettings
    patches: PatchSettings
    network: NetworkSettings
    loss: LossSettings


def run(settings: FingerprintStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read the training cases (`cases/ID`) below `data`, and write what they show and what follows from it.

    fingerprint.json, preparation.json, plan.json, and familiar.json for the guard of new scans.
    `start`, a model package, is an input where training starts from it: its card has a say in the plan.
    """
    scheme = read_scheme(inputs["scheme"])
    records = [read_case(path) for name, path in sorted(inputs.items()) if name.startswith("cases/")]
    if not any(record.tumour_voxels for record in records):
        raise Refusal(
            "training set",
            f"at least one training scan holds the region '{scheme.tumour}'",
            f"{len(records)} scans without it",
            "check data.tumour and the masks, or split with another seed",
        )
    _check_seen(records, scheme)
    looks = []
    for number, record in enumerate(records, start=1):
        looks.append(look_at(record, inputs["data"], settings.prepare, settings.seed, scheme.ignore))
        tell("fingerprint", number, len(records), "cases")
    channels = records[0].channel_names
    spacing = common_spacing([look.spacing_mm for look in looks])
    preparation = _preparation(settings.prepare, channels, spacing, looks)
    shapes = [_planned_shape(look, spacing, settings.prepare.resample) for look in looks]
    plan = make_plan(settings, shapes, spacing, len(channels), scheme).model_copy(update={"channels": channels})
    if "start" in inputs:
        plan = adopted(plan, settings.network, inputs["start"], settings.patches.size is not None)
    _write_fingerprint(out / "fingerprint.json", records, looks, channels, scheme, shapes)
    write_record(out / "preparation.json", preparation)
    write_record(out / "plan.json", plan)
    write_record(out / "familiar.json", familiar_of([look.signature for look in looks]))


def make_plan(
    settings: FingerprintStage,
    shapes: Sequence[Triple],
    spacing_mm: tuple[float, float, float],
    channels: int,
    scheme: SchemeRecord,
) -> Plan:
    """Derive the plan from the shapes of the prepared training cases (voxels at `spacing_mm`).

    Refuses (exit 2) a patch that is larger than every training case, unless `patches.padding` allows it.
    """
    from medseg.networks.build import check_patch

    network, patches = settings.network, settings.patches
    median = [int(size) for size in np.median(np.asarray(shapes), axis=0)]
    plane = None
    if network.dimensions == 2:
        plane = slice_axis(spacing_mm, median) if patches.plane == "auto" else "xyz".index(patches.plane)
    wishes = Wishes(
        network.dimensions, network.width, network.widest, network.levels, patches.size, patches.batch, plane,
        patches.memory_gb,
    )  # fmt: skip
    patch, strides, batch = plan_patch(median, spacing_mm, wishes)
    if patches.size is not None and not patches.padding:
        _check_fits(patch, shapes, plane)
    kernels = plan_kernels(strides, spacing_mm, plane)
    axes = [axis for axis in range(3) if axis != plane]
    architecture = Architecture(
        dimensions=network.dimensions,
        channels=channels,
        outputs=len(scheme.regions) if settings.loss.activation == "sigmoid" else len(scheme.labels) + 1,
        features=features(len(strides), wishes),
        strides=tuple(tuple(stride[axis] for axis in axes) for stride in strides),
        kernels=tuple(tuple(kernel[axis] for axis in axes) for kernel in kernels),
    )
    if patches.size is None:
        patch = _rounded(network, architecture, patch, axes)
    check_patch(network, architecture, patch)
    return Plan(spacing_mm=spacing_mm, patch=patch, batch=batch, plane=plane, architecture=architecture)


def _rounded(network: NetworkSettings, architecture: Architecture, patch: Triple, axes: Sequence[int]) -> Triple:
    """Round a planned patch up to the multiples that one of MONAI's networks wants; ours fits as it is."""
    if network.kind != "monai":
        return patch
    from medseg.networks.monai import multiples_of

    sizes = list(patch)
    for axis, step in zip(axes, multiples_of(network, architecture), strict=True):
        sizes[axis] = -(-sizes[axis] // step) * step
    x, y, z = sizes
    return x, y, z


def _check_seen(records: Sequence[CaseRecord], scheme: SchemeRecord) -> None:
    """Refuse to train for a channel that no training case has, or a label that was looked for in none."""
    for channel in records[0].channel_names:
        if all(channel in record.missing for record in records):
            rule = f"at least one training scan has the channel '{channel}'"
            remedy = "leave it out of data.channels, or split with another seed"
            raise Refusal("training set", rule, f"{len(records)} scans without it", remedy)
    for label in scheme.labels:
        if all(record.annotated is not None and label not in record.annotated for record in records):
            rule = f"the label '{label}' was looked for in at least one training scan"
            remedy = "leave it out of data.labels, or split with another seed"
            raise Refusal("training set", rule, f"{len(records)} scans where it was not", remedy)


def _preparation(
    settings: PrepareSettings, channels: Sequence[str], spacing_mm: tuple[float, float, float], looks: Sequence[Look]
) -> Preparation:
    kinds, samples = normalisation_kinds(channels, settings.normalise), [look.foreground for look in looks]
    fitted = {name: fit_normalisation(kinds[name], joined(samples, name), name) for name in channels}
    return Preparation(spacing_mm=spacing_mm, normalisations=fitted)


def _planned_shape(look: Look, spacing_mm: Sequence[float], resample: bool) -> Triple:
    return resampled_shape(look.shape, look.spacing_mm, spacing_mm) if resample else look.shape


def _check_fits(patch: Triple, shapes: Sequence[Triple], plane: int | None) -> None:
    largest = [int(size) for size in np.asarray(shapes).max(axis=0)]
    if any(patch[axis] > largest[axis] for axis in range(3) if axis != plane):
        shown = [size for axis, size in enumerate(patch) if axis != plane]
        limit = [size for axis, size in enumerate(largest) if axis != plane]
        raise wrong_setting(
            "patches.size",
            f"a patch must fit in the largest training case {limit}",
            shown,
            "lower patches.size, or allow zeros around the images by patches.padding=true",
        )


def _write_fingerprint(
    path: Path,
    records: Sequence[CaseRecord],
    looks: Sequence[Look],
    channels: Sequence[str],
    scheme: SchemeRecord,
    shapes: Sequence[Triple],
) -> None:
    inside = {name: joined([look.body for look in looks], name).astype(np.float64) for name in channels}
    classes = {
        name: [record.labels.get(str(number), 0) for record in records] for name, number in scheme.labels.items()
    }
    fingerprint = {
        "cases": [record.case for record in records],
        "spacing_mm": [list(look.spacing_mm) for look in looks],
        "shapes": [list(look.shape) for look in looks],
        "shapes_at_common_spacing": [list(shape) for shape in shapes],
        "voxels_per_label": classes,
        "intensity_inside_body": {
            name: {
                "mean": float(values.mean()),
                "sd": float(values.std()),
                "percentiles_0.5_50_99.5": [float(value) for value in np.percentile(values, (0.5, 50, 99.5))],
            }
            for name, values in inside.items()
        },
        "cases_without_channel": {name: sum(name in record.missing for record in records) for name in channels},
    }
    path.write_text(json.dumps(fingerprint, indent=1) + "\n", encoding="utf-8")
