"""How many spoiled and foreign scans the input guard notices, and how often it is alarmed by scans of its own kind.

    python benchmarks/guard.py SHARED_DATA benchmarks/results/guard.json [SPLITS]

SHARED_DATA holds Task04_Hippocampus and sarcoma; the head phantoms are made here. Each set is divided at random SPLITS
times (default 5): a fifth is held out, a tenth of the rest is left for validation, the guard learns from what remains.
Then every held-out scan is shown to it as it is, in every spoiled form, and every scan of the other sets. Needs no
network. Ends with 1 where a goal is missed: hippocampus, all kinds of spoiling that can be noticed, and at most 5 %
false alarms.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.files.scans import read_image
from medseg.ops.body import BodySettings
from medseg.ops.guard import Signature, familiar_of, signature_of, unlike
from medseg.ops.orientation import orientation_of, to_canonical
from medseg.ops.phantom import PhantomSettings, make_phantom
from medseg.ops.preparing import PrepareSettings, crop_to_body
from medseg.stages.phantom import CHANNELS
from medseg.values.streams import stream
from medseg.values.volume import Volume

SPLITS, HELD_OUT, VALIDATION = 5, 0.2, 0.1
HEADS = 60
MOST_FALSE_ALARMS = 0.05
OWN = "as it is"


@dataclass(frozen=True)
class DataSet:
    """Scans by case, one channel after the other in `names`, and how their body is found."""

    name: str
    names: tuple[str, ...]
    prepare: PrepareSettings
    read: Mapping[str, Callable[[], Volume]]


def flipped(axis: int) -> Callable[[Volume], Volume]:
    return lambda volume: Volume(np.flip(volume.voxels, axis + 1), volume.affine)


def spaced(*factors: float) -> Callable[[Volume], Volume]:
    return lambda volume: Volume(volume.voxels, volume.affine @ np.diag([*factors, 1.0]))


def in_unit(factor: float) -> Callable[[Volume], Volume]:
    return lambda volume: Volume(volume.voxels * np.float32(factor), volume.affine)


SPOILED: dict[str, Callable[[Volume], Volume]] = {
    OWN: lambda volume: volume,
    "unit x 1000": in_unit(1000),
    "unit / 1000": in_unit(0.001),
    "mirrored along the first axis": flipped(0),
    "mirrored along the second axis": flipped(1),
    "mirrored along the third axis": flipped(2),
    "first and second axis exchanged": lambda volume: Volume(volume.voxels.swapaxes(1, 2), volume.affine),
    "spacing x 2": spaced(2, 2, 2),
    "spacing / 2": spaced(0.5, 0.5, 0.5),
    "spacing x 2 along the third axis": spaced(1, 1, 2),
    "negative": lambda volume: Volume(volume.voxels.max() - volume.voxels, volume.affine),
}
EXCHANGED = "channels exchanged"
ALL_FLAGGED = (
    "unit x 1000",
    "mirrored along the first axis",
    "mirrored along the second axis",
    "mirrored along the third axis",
    "spacing x 2",
    "spacing / 2",
    "spacing x 2 along the third axis",
    "scans of sarcoma PET",
)


def data_sets(shared: Path) -> list[DataSet]:
    """Return hippocampus, PET and CT of the sarcoma set, and head phantoms with and without a lesion."""
    images = sorted((shared / "Task04_Hippocampus" / "imagesTr").glob("*.nii.gz"))
    folders = sorted((shared / "sarcoma").glob("STS_*"))
    whole = PrepareSettings()
    heads = PhantomSettings(subjects=HEADS)
    return [
        DataSet("hippocampus", ("MRI",), whole, {path.name.removesuffix(".nii.gz"): reader(path) for path in images}),
        DataSet("sarcoma PET", ("PET",), whole, {path.name: reader(path / "PET_image.nii.gz") for path in folders}),
        DataSet("sarcoma CT", ("CT",), whole, {path.name: reader(path / "CT_image.nii.gz") for path in folders}),
        DataSet(
            "phantom",
            CHANNELS,
            PrepareSettings(body=BodySettings(kind="otsu")),
            {f"phantom_{subject:03d}": head(heads, subject) for subject in range(1, HEADS + 1)},
        ),
    ]


def reader(path: Path) -> Callable[[], Volume]:
    return lambda: read_image(path)


def head(settings: PhantomSettings, subject: int) -> Callable[[], Volume]:
    return lambda: make_phantom(settings, subject)[0]


def signature(volume: Volume, names: Sequence[str], prepare: PrepareSettings) -> Signature:
    """Take the signature as a segmentation would."""
    image = to_canonical(volume)
    body, start, stop = crop_to_body(image, prepare)
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    return signature_of(image, body, box, names, (), orientation_of(volume.affine))


def signatures(data: DataSet) -> dict[str, dict[str, Signature]]:
    """Return the signature of every case in every form: {form: {case: signature}}."""
    forms = dict(SPOILED)
    if len(data.names) > 1:
        forms[EXCHANGED] = lambda volume: Volume(volume.voxels[::-1], volume.affine)
    found: dict[str, dict[str, Signature]] = {form: {} for form in forms}
    for case, read in data.read.items():
        volume = read()
        for form, spoil in forms.items():
            found[form][case] = signature(spoil(volume), data.names, data.prepare)
    return found


def divided(cases: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Return training and held-out cases of a random split; the validation cases are in neither."""
    order = [str(case) for case in stream(seed, "benchmark", "guard").permutation(sorted(cases))]
    held_out = round(HELD_OUT * len(order))
    validation = round(VALIDATION * (len(order) - held_out))
    return sorted(order[held_out + validation :]), sorted(order[:held_out])


def as_channels(one: Signature, names: Sequence[str]) -> Signature:
    """Give a scan of another set to a model: its channels in turn under the names that the model knows."""
    own = list(one.channels.values())
    return one.model_copy(update={"channels": {name: own[place % len(own)] for place, name in enumerate(names)}})


def judged(shown: Mapping[str, Signature], familiar: Any) -> dict[str, Any]:
    """Return how many scans were flagged, why, and which were not."""
    found = {
        case: [one for one in unlike(scan, familiar) if one.severity == "warn"] for case, scan in sorted(shown.items())
    }
    rules = Counter(one.rule for findings in found.values() for one in findings)
    flagged = [case for case, findings in found.items() if findings]
    return {
        "scans": len(found),
        "flagged": len(flagged),
        "rules": dict(rules.most_common()),
        "the_fewer": flagged if 2 * len(flagged) < len(found) else sorted(set(found) - set(flagged)),
        "example": f"{flagged[0]}: {found[flagged[0]][0].value}" if flagged else "",
    }


def splits(
    data: DataSet, everything: Mapping[str, Mapping[str, Mapping[str, Signature]]], number: int
) -> Iterator[dict[str, Any]]:
    """Yield what the guard of each split says of held-out scans in every form, and of all scans of the other sets."""
    own = everything[data.name]
    for seed in range(number):
        train, held_out = divided(list(data.read), seed)
        familiar = familiar_of([own[OWN][case] for case in train])
        forms = {form: judged({case: scans[case] for case in held_out}, familiar) for form, scans in own.items()}
        for other, scans in everything.items():
            if other != data.name:
                foreign = {case: as_channels(one, data.names) for case, one in scans[OWN].items()}
                forms[f"scans of {other}"] = judged(foreign, familiar)
        yield {"seed": seed, "train": len(train), "card_bytes": len(familiar.model_dump_json()), "forms": forms}


def summed(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add up the splits of a set."""
    table = {}
    for form in runs[0]["forms"]:
        parts = [run["forms"][form] for run in runs]
        rules: Counter[str] = sum((Counter(part["rules"]) for part in parts), Counter())
        scans, flagged = (sum(part[key] for part in parts) for key in ("scans", "flagged"))
        table[form] = {
            "scans": scans,
            "flagged": flagged,
            "share": flagged / scans,
            "rules": dict(rules.most_common()),
            "example": next((part["example"] for part in parts if part["example"]), ""),
        }
    return table


def shortened(run: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a split how many scans were flagged in each form, and which were the few."""
    forms = run["forms"]
    few = {form: one["the_fewer"] for form, one in forms.items() if one["the_fewer"]}
    return {"seed": run["seed"], "flagged": {form: one["flagged"] for form, one in forms.items()}, "the_fewer": few}


def show(name: str, runs: Sequence[Mapping[str, Any]], table: Mapping[str, Mapping[str, Any]]) -> None:
    sizes = f"{runs[0]['train']} training scans, {runs[0]['card_bytes'] / 1000:.0f} kB"
    print(f"\n{name} ({sizes}, {len(runs)} splits)\n\n| shown | flagged | share | why |\n|---|---|---|---|")
    for form, row in table.items():
        why = ", ".join(f"{rule} {count}" for rule, count in row["rules"].items())
        print(f"| {form} | {row['flagged']} of {row['scans']} | {100 * row['share']:.1f} % | {why} |")


def goals(table: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """Return which goals the guard of the hippocampus reaches."""
    reached = {f"{form}: all flagged": table[form]["share"] == 1.0 for form in ALL_FLAGGED}
    return {**reached, "at most 5 % false alarms": table[OWN]["share"] <= MOST_FALSE_ALARMS}


def main(shared: Path, out: Path, number: int = SPLITS) -> int:
    """Print the tables and write the JSON."""
    sets = data_sets(shared)
    everything = {data.name: signatures(data) for data in sets}
    results: dict[str, Any] = {}
    for data in sets:
        runs = list(splits(data, everything, number))
        table = summed(runs)
        show(data.name, runs, table)
        facts = {"train": runs[0]["train"], "card_bytes": runs[0]["card_bytes"]}
        results[data.name] = {**facts, "table": table, "splits": [shortened(run) for run in runs]}
    reached = goals(results["hippocampus"]["table"])
    print("\n" + "\n".join(f"{'reached' if good else 'MISSED'}: {goal}" for goal, good in reached.items()))
    out.write_text(json.dumps({"goals": reached, **results}, indent=1) + "\n", encoding="utf-8")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(word) for word in sys.argv[3:4])))
