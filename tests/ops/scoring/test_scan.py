"""A whole scan: expected rows of the cases that other tools drop, one pass against many, slices, probabilities."""

from __future__ import annotations

import json

import numpy as np
import pytest

from medseg.ops.scoring import overlap
from medseg.ops.scoring.certainty import measure_certainty
from medseg.ops.scoring.froc import failed_froc, measure_froc
from medseg.ops.scoring.lesions import LesionRule, count_lesions, measure_strangers
from medseg.ops.scoring.lesionwise import score_lesions
from medseg.ops.scoring.overlap import EmptyRule
from medseg.ops.scoring.pair import pair_of
from medseg.ops.scoring.panoptic import panoptic_quality
from medseg.ops.scoring.record import Who, froc_of, reliability_of, score_record
from medseg.ops.scoring.rows import columns, measures_of
from medseg.ops.scoring.scan import Row, Scan, ScoreSettings, score_scan
from medseg.ops.scoring.surfaces import diagonal_mm, measure_surfaces
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, FloatArray, Volume

REGIONS = {"enhancing": (3,), "core": (1, 3), "tumour": (1, 2, 3)}
SCHEME = LabelScheme({"necrosis": 1, "oedema": 2, "enhancing": 3}, REGIONS, "tumour")
SHAPE = (12, 10, 8)
EDGES = (1.0, 1.5, 2.0)
NOTHING = np.zeros(SHAPE, np.uint8)
ML = Volume(NOTHING[None], np.diag([*EDGES, 1.0])).voxel_ml


def volume(mask: Array, edges: tuple[float, float, float] = EDGES) -> Volume:
    return Volume(mask[None], np.diag([*edges, 1.0]))


def scored(truth: Array, guess: Array | None, scheme: LabelScheme = SCHEME, **settings: object) -> dict[str, Row]:
    scan = Scan(volume(truth), None if guess is None else volume(guess), np.ones(truth.shape, np.bool_))
    rows = score_scan(scan, scheme, ScoreSettings.model_validate(settings)).rows
    return {str(row["region"]): row for row in rows}


def whole(row: Row) -> Row:
    """Fill up the cells that are not there, and leave out those that are the same in every test here."""
    return {name: row.get(name) for name in columns if name not in ("case", "subject", "site", "reason")}


def random_labels(seed: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Scatter boxes of all labels, now and then without one of them."""
    chance, mask = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    for _ in range(int(chance.integers(0, 7))):
        size = [int(chance.integers(1, max(2, length // 2))) for length in shape]
        start = [int(chance.integers(0, length - edge + 1)) for length, edge in zip(shape, size, strict=True)]
        place = tuple(slice(a, a + edge) for a, edge in zip(start, size, strict=True))
        mask[place] = chance.integers(0, 4)
    return mask


def test_a_class_that_the_truth_lacks_and_the_prediction_has_counts_at_its_worst() -> None:
    truth, guess = NOTHING.copy(), NOTHING.copy()
    truth[2:8, 2:8, 2:6] = guess[2:8, 2:8, 2:6] = 2
    truth[4, 4, 4] = guess[4, 4, 4] = 1
    guess[5, 5, 4:6] = 3
    found = scored(truth, guess, lesions="glioma")
    assert whole(found["enhancing"]) == {
        "cohort": "tumour",
        "region": "enhancing",
        "dice": 0.0,
        "iou": 0.0,
        "sensitivity": None,
        "precision": 0.0,
        "specificity": 958 / 960,
        "hd95_mm": 374.0,
        "assd_mm": 374.0,
        "nsd": 0.0,
        "volume_truth_ml": 0.0,
        "volume_predicted_ml": 2 * ML,
        "volume_error_ml": 2 * ML,
        "lesions_truth": 0,
        "lesions_found": 0,
        "false_lesions": 1,
        "lesion_dice": 0.0,
        "lesion_hd95_mm": 374.0,
        "lesion_f1": 0.0,
        "panoptic_quality": 0.0,
        "segmentation_quality": 0.0,
        "recognition_quality": 0.0,
        "false_positive_ml": 2 * ML,
        "false_negative_ml": 0.0,
        "ece": None,
        "brier": None,
        "pixel_accuracy": None,
        "miou": None,
    }
    assert found["tumour"]["dice"] == 1.0
    assert found["all"]["miou"] == pytest.approx((1 + 1 + 141 / 143 + 0) / 4)


def test_a_healthy_scan_with_one_false_voxel_is_not_dropped() -> None:
    guess = NOTHING.copy()
    guess[3, 3, 3] = 2
    found = scored(NOTHING, guess)
    assert whole(found["tumour"]) == {
        "cohort": "healthy",
        "region": "tumour",
        "dice": 0.0,
        "iou": 0.0,
        "sensitivity": None,
        "precision": 0.0,
        "specificity": 959 / 960,
        "hd95_mm": diagonal_mm(SHAPE, EDGES),
        "assd_mm": diagonal_mm(SHAPE, EDGES),
        "nsd": 0.0,
        "volume_truth_ml": 0.0,
        "volume_predicted_ml": ML,
        "volume_error_ml": ML,
        "lesions_truth": 0,
        "lesions_found": 0,
        "false_lesions": 1,
        "lesion_dice": None,
        "lesion_hd95_mm": None,
        "lesion_f1": None,
        "panoptic_quality": 0.0,
        "segmentation_quality": 0.0,
        "recognition_quality": 0.0,
        "false_positive_ml": ML,
        "false_negative_ml": 0.0,
        "ece": None,
        "brier": None,
        "pixel_accuracy": None,
        "miou": None,
    }
    assert found["healthy"]["dice"] == pytest.approx(2 * 959 / (2 * 959 + 1))
    assert found["enhancing"]["dice"] is None


def test_a_missing_prediction_gets_the_worst_of_everything_that_has_a_worst() -> None:
    truth = NOTHING.copy()
    truth[2:5, 2:5, 2:5] = 3
    found = scored(truth, None, lesions="metastases")
    expected = dict.fromkeys(columns[4:-2])
    expected |= dict.fromkeys(("dice", "iou", "sensitivity", "precision", "specificity", "nsd"), 0.0)
    expected |= {"hd95_mm": 374.0, "assd_mm": 374.0, "volume_truth_ml": pytest.approx(27 * ML)}
    expected |= {"lesions_truth": 1, "lesions_found": 0, "false_negative_ml": pytest.approx(27 * ML)}
    expected |= {"lesion_dice": 0.0, "lesion_hd95_mm": 374.0, "lesion_f1": 0.0}
    expected |= dict.fromkeys(("panoptic_quality", "segmentation_quality", "recognition_quality"), 0.0)
    for region in ("enhancing", "core", "tumour"):
        assert whole(found[region]) == expected | {"cohort": "tumour", "region": region}
    assert (found["all"]["pixel_accuracy"], found["all"]["miou"]) == (0.0, 0.0)
    assert found["healthy"]["dice"] == 0.0


@pytest.mark.parametrize(("empty", "value"), [("undefined", None), ("one", 1.0), ("zero", 0.0)])
def test_what_is_absent_on_both_sides_is_worth_what_the_setting_says(empty: EmptyRule, value: float | None) -> None:
    row = scored(NOTHING, NOTHING, empty=empty)["tumour"]
    kin = ("dice", "iou", "sensitivity", "precision", "nsd")
    assert [row[name] for name in kin] == [value] * 5
    assert [row[f"{name}_quality"] for name in ("panoptic", "segmentation", "recognition")] == [value] * 3
    assert [row[name] for name in ("hd95_mm", "assd_mm")] == [None, None]
    assert [row[name] for name in ("specificity", "false_positive_ml", "false_negative_ml")] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", range(30))
def test_one_pass_gives_what_every_measure_gives_on_the_whole_scan(seed: int) -> None:
    truth, guess = random_labels(seed), random_labels(seed + 100)
    rule = LesionRule(kind="metastases" if seed % 2 else "glioma")
    found = scored(truth, guess, lesions=rule.kind, empty="one")
    for region, members in REGIONS.items():
        sides = np.isin(truth, members), np.isin(guess, members)
        counts, row = overlap.count(*sides), found[region]
        assert [row["dice"], row["iou"]] == [overlap.dice(counts, "one"), overlap.iou(counts, "one")]
        assert row["sensitivity"] == overlap.sensitivity(counts, "one")
        assert (row["precision"], row["specificity"]) == (
            overlap.precision(counts, "one"),
            overlap.specificity(counts),
        )
        near = measure_surfaces(*sides, EDGES, 1.0, 374.0)
        assert (row["hd95_mm"], row["assd_mm"]) == (near.hd95_mm, near.assd_mm)
        assert row["nsd"] == (1.0 if near.nsd is None else near.nsd)
        pair = pair_of(*sides, EDGES, margin=max(SHAPE))
        lesions, strangers, panoptic = count_lesions(pair), measure_strangers(pair), panoptic_quality(pair, "one")
        assert (row["lesions_truth"], row["lesions_found"]) == (len(lesions.lesions), lesions.found)
        assert row["false_lesions"] == lesions.false_lesions
        assert row["panoptic_quality"] == panoptic.quality
        assert row["false_positive_ml"] == pytest.approx(strangers.false_positive_ml)
        assert row["false_negative_ml"] == pytest.approx(strangers.false_negative_ml)
        scores = score_lesions(pair, rule)
        assert (row["lesion_dice"], row["lesion_f1"]) == (scores.dice, scores.f1)
        assert row["lesion_hd95_mm"] == pytest.approx(scores.hd95_mm)
    table = overlap.confusion(truth, guess, 4)
    assert found["all"]["pixel_accuracy"] == overlap.pixel_accuracy(table)
    assert found["all"]["miou"] == pytest.approx(overlap.miou(table))


@pytest.mark.parametrize("seed", range(6))
def test_more_air_around_the_scan_changes_no_more_than_the_true_negatives(seed: int) -> None:
    truth, guess = random_labels(seed), random_labels(seed + 1)
    wide = [np.pad(mask, ((2, 1), (0, 4), (3, 3))) for mask in (truth, guess)]
    near, far = (scored(*masks, lesions="meningioma") for masks in ((truth, guess), wide))
    for region in REGIONS:
        assert {n: near[region].get(n) for n in measures_of(region) if n != "specificity"} == pytest.approx(
            {n: far[region].get(n) for n in measures_of(region) if n != "specificity"}
        )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_scan_of_one_slice_is_measured_in_its_plane(axis: int) -> None:
    truth, guess = (random_labels(seed, (14, 11)) for seed in (3, 4))
    edges = [1.0, 1.5]
    edges.insert(axis, 5.0)
    slabs = [np.expand_dims(mask, axis) for mask in (truth, guess)]
    scan = Scan(*(volume(slab, (edges[0], edges[1], edges[2])) for slab in slabs), np.ones(slabs[0].shape, np.bool_))
    found = {row["region"]: row for row in score_scan(scan, SCHEME, ScoreSettings(lesions="metastases")).rows}
    sides = truth > 0, guess > 0
    near = measure_surfaces(*sides, (1.0, 1.5), 1.0, 374.0)
    row = found["tumour"]
    assert (row["hd95_mm"], row["assd_mm"], row["nsd"]) == (near.hd95_mm, near.assd_mm, near.nsd)
    assert row["volume_truth_ml"] == pytest.approx(sides[0].sum() * 7.5 / 1000)
    assert row["dice"] == overlap.dice(overlap.count(*sides), "undefined")
    assert found["healthy"]["dice"] == overlap.dice(overlap.count(~sides[0], ~sides[1]), "undefined")


def test_a_flat_tumour_in_a_deep_scan_stays_three_dimensional() -> None:
    truth, guess = NOTHING.copy(), NOTHING.copy()
    truth[2:7, 2:7, 4] = guess[2:7, 3:8, 4] = 1
    row = scored(truth, guess)["tumour"]
    expected = measure_surfaces(truth > 0, guess > 0, EDGES, 1.0, 99.0)
    assert (row["hd95_mm"], row["assd_mm"], row["nsd"]) == (expected.hd95_mm, expected.assd_mm, expected.nsd)


def test_a_tolerance_may_belong_to_one_region() -> None:
    truth, guess = NOTHING.copy(), NOTHING.copy()
    truth[3:8, 3:8, 2:6] = guess[5:10, 3:8, 2:6] = 3
    usual, wide = scored(truth, guess), scored(truth, guess, nsd_tolerance_mm=2.0)
    mixed = scored(truth, guess, nsd_tolerance_mm={"core": 2.0, "healthy": 2.0})
    assert usual["core"]["nsd"] != wide["core"]["nsd"]
    for region, like in {"core": wide, "healthy": wide, "tumour": usual, "enhancing": usual}.items():
        assert mixed[region]["nsd"] == like[region]["nsd"]
    with pytest.raises(Refusal) as refused:
        scored(truth, guess, nsd_tolerance_mm={"tumor": 2.0})
    known = "['core', 'enhancing', 'healthy', 'tumour']"
    rule = f"nsd_tolerance_mm.tumor: a tolerance belongs to one of the regions {known}"
    assert (str(refused.value), refused.value.exit_code) == (f"{rule}, got tumor; name a region of the data set", 2)


def test_a_number_that_is_no_label_and_another_shape_are_refused() -> None:
    guess = NOTHING.copy()
    guess[0, 0, 0] = 7
    with pytest.raises(Refusal, match=r"mask: labels are among \(0, 1, 2, 3\), got \[7\]; name them in data.labels"):
        scored(NOTHING, guess)
    with pytest.raises(Refusal, match="bring the prediction to the grid of the truth"):
        scored(NOTHING, guess[1:])


def certain(seed: int) -> tuple[Scan, FloatArray]:
    """Make a scan with the tumour's probabilities: sharp, with a false hill, and a body that leaves out a side."""
    chance = np.random.default_rng(seed)
    truth = NOTHING.copy()
    truth[2:6, 2:6, 2:6] = 2
    probability = np.where(truth > 0, 0.8, 0.02) + chance.uniform(-0.02, 0.02, SHAPE)
    probability[9:11, 7:9, 5:7] = 0.6
    guess = np.where(probability > 0.5, 2, 0).astype(np.uint8)
    body = np.ones(SHAPE, np.bool_)
    body[:, 0] = False
    found = probability.astype(np.float32)
    return Scan(volume(truth), volume(guess), body, None, {"tumour": found}), found


def test_probabilities_are_judged_where_they_were_kept() -> None:
    scan, probability = certain(0)
    found = score_scan(scan, SCHEME, ScoreSettings())
    truth = scan.truth.voxels[0] > 0
    expected = measure_certainty(probability, truth, scan.body)
    rows = {row["region"]: row for row in found.rows}
    assert (rows["tumour"]["ece"], rows["tumour"]["brier"]) == (expected.ece, expected.brier)
    assert (rows["core"].get("ece"), rows["core"].get("brier")) == (None, None)
    assert dict(found.reliability) == {"tumour": expected}
    assert found.froc == measure_froc(probability, truth)
    assert found.froc.hits[7] == 1
    assert found.froc.false[7] == 1


def test_probabilities_where_nobody_annotated_do_not_matter() -> None:
    scan, probability = certain(1)
    ignoring = LabelScheme(SCHEME.labels, REGIONS, "tumour", ignore=9)
    truth = scan.truth.voxels[0].copy()
    truth[8:] = 9
    results = []
    for value in (0.0, 0.9):
        changed = probability.copy()
        changed[8:] = value
        other = Scan(volume(truth), scan.predicted, scan.body, None, {"tumour": changed})
        results.append(score_scan(other, ignoring, ScoreSettings()))
    assert results[0] == results[1]
    assert results[0].froc is not None
    assert results[0].froc.false[7] == 0


def test_a_failed_scan_has_lesions_to_miss_and_no_map() -> None:
    scan, _ = certain(2)
    found = score_scan(Scan(scan.truth, None, scan.body), SCHEME, ScoreSettings())
    assert found.froc == failed_froc(1)
    assert found.reliability == {}
    partly = Scan(scan.truth, None, scan.body, ("necrosis",))
    assert score_scan(partly, SCHEME, ScoreSettings()).froc is None


def test_the_record_of_a_case_is_plain_json_and_read_back() -> None:
    scan, _ = certain(3)
    found = score_scan(scan, SCHEME, ScoreSettings(lesions="metastases"))
    record = score_record(Who("P1", "S1", "site A"), found, ["resampled"])
    again = json.loads(json.dumps(record, allow_nan=False))
    assert tuple(again) == ("case", "rows", "failed", "notes", "lesions", "froc", "reliability")
    assert all(tuple(row) == columns for row in again["rows"])
    assert {(row["case"], row["subject"], row["site"], row["reason"]) for row in again["rows"]} == {
        ("P1", "S1", "site A", None)
    }
    assert (again["failed"], again["notes"]) == (None, ["resampled"])
    assert again["lesions"] == [{"ml": pytest.approx(64 * ML), "found": True}]
    assert froc_of(again) == found.froc
    assert reliability_of(again) == dict(found.reliability)
    failed = score_record(Who("P1", "S1", failed="no memory"), score_scan(scan, SCHEME, ScoreSettings()))
    assert {row["reason"] for row in failed["rows"]} == {"no memory"}
    assert froc_of({}) is None
    assert reliability_of({}) == {}
