from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from medseg.files.layouts.values import DataSettings
from medseg.files.records import read_cases
from medseg.stages.surveying.survey import survey
from medseg.values.finding import Finding
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from tests.stages.surveying.tiny_survey import CT, PET, SCHEME, Scan, sound, surveyed, warnings

DATA = Path(__file__).parents[4] / "shared" / "data"
LEAK, TWICE = "no two subjects share a scan", "every scan is there once"


def notes(scans: list[Scan]) -> dict[str, str]:
    return {one.rule: one.value for one in surveyed(scans) if one.severity == "note"}


def test_a_sound_set_has_notes_only() -> None:
    assert warnings(sound()) == {}
    assert notes(sound()) == {
        "spacing of the voxels (x, y, z)": "1 x 1 x 3 mm in all of 30 scans",
        "scans without tumour": "6 of 30 (20 %): case_000, case_005, case_010, case_015, case_020 and 1 more",
        "lesions of tumour per scan, and their sizes": "2 in each; median 19.5 ml, 80 % between 9 and 30, "
        "largest 30 ml",
        "scans per subject": "30 scans of 30 subjects",
    }


def exact_copy(scans: list[Scan]) -> None:
    scans[3].contents["flair"] = scans[17].contents["flair"] = "the same"


def copy_of_a_subject(scans: list[Scan]) -> None:
    exact_copy(scans)
    scans[3].subject = scans[17].subject = "one person"


def near_copy(scans: list[Scan]) -> None:
    scans[17].looks_like, scans[17].noise = 3, 0.02


def shared_mask(scans: list[Scan]) -> None:
    scans[3].mask = scans[17].mask = "the same"


def other_spacing(scans: list[Scan]) -> None:
    scans[3].spacing, scans[3].shape = (1.0, 1.0, 6.0), (64, 64, 15)


def other_size(scans: list[Scan]) -> None:
    scans[3].shape = (64, 64, 90)


def no_core(scans: list[Scan]) -> None:
    for scan in scans:
        scan.labels.pop("1", None)


def rare_core(scans: list[Scan]) -> None:
    for scan in scans:
        if scan.number != 3:
            scan.labels.pop("1", None)


def tiny_core(scans: list[Scan]) -> None:
    for scan in scans:
        scan.labels.update({"1": 4} if scan.labels else {})


def no_tumour(scans: list[Scan]) -> None:
    for scan in scans:
        scan.labels = {}


def lost_site(scans: list[Scan]) -> None:
    for scan in scans:
        scan.site = None if scan.number == 3 else "Bergen"


PLANTED: list[tuple[Callable[[list[Scan]], None], str, str, tuple[str, ...]]] = [
    (exact_copy, LEAK, "1 scan under more than one subject: case_003 = case_017", ("case_003", "case_017")),
    (copy_of_a_subject, TWICE, "1 scan more than once, of one subject each: case_003 = case_017",
     ("case_003", "case_017")),
    (near_copy, "scans of different subjects differ", "1 pair of nearly equal images", ("case_003", "case_017")),
    (shared_mask, "different images have different masks", "1 mask with labels", ("case_003", "case_017")),
    (other_spacing, "scans of a set have similar voxels", "case_003 1 x 1 x 6 mm", ("case_003",)),
    (other_size, "scans of a set show a similar part of the body", "case_003 64 x 64 x 270 mm", ("case_003",)),
    (no_core, "label core (1) can be learned", "in none of 30 masks", ()),
    (rare_core, "label core (1) can be learned", "in 1 of 30 (3 %) masks: case_003", ("case_003",)),
    (tiny_core, "label core (1) can be learned", "a median of 4 voxels, 0.012 ml",
     tuple(f"case_{n:03d}" for n in range(30) if n % 5)),
    (lost_site, "every scan has a site", "none for 1 scan: case_003", ("case_003",)),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "rule", "value", "cases"), PLANTED, ids=[one[0].__name__ for one in PLANTED])
def test_a_planted_fault_is_the_only_warning(
    plant: Callable[[list[Scan]], None], rule: str, value: str, cases: tuple[str, ...]
) -> None:
    scans = sound()
    plant(scans)
    found = [one for one in surveyed(scans) if one.severity == "warn"]
    assert [one.rule for one in found] == [rule]
    assert found[0].value.find(value) >= 0, found[0].value
    assert found[0].cases == cases
    assert found[0].remedy


@pytest.mark.parametrize("plant", [one[0] for one in PLANTED], ids=[one[0].__name__ for one in PLANTED])
def test_the_order_of_cases_changes_only_the_order_of_names(plant: Callable[[list[Scan]], None]) -> None:
    def plain(findings: list[Finding]) -> list[tuple[Any, ...]]:
        return sorted((one.severity, one.rule, sorted(one.cases)) for one in findings)

    scans = sound()
    plant(scans)
    mixed = Random(4).sample(scans, len(scans))  # noqa: S311
    assert plain(surveyed(mixed)) == plain(surveyed(scans))


def test_a_set_without_any_tumour_says_so() -> None:
    scans = sound()
    no_tumour(scans)
    assert warnings(scans).keys() == {
        "label core (1) can be learned", "label oedema (2) can be learned", "some scan holds the region tumour",
    }  # fmt: skip


def test_an_exact_copy_is_not_told_again_as_a_near_one_and_followups_are_no_warning() -> None:
    scans = sound()
    exact_copy(scans)
    scans[17].looks_like = 3
    assert warnings(scans).keys() == {LEAK}
    scans = sound()
    near_copy(scans)
    scans[3].subject = scans[17].subject = "one person"
    assert warnings(scans) == {}
    assert "case_003 and case_017" in notes(scans)["scans of one subject differ"]


def test_a_set_in_which_all_look_alike_is_no_set_of_copies() -> None:
    scans = sound(40)
    for scan in scans:
        scan.looks_like = 1
    assert warnings(scans) == {}
    assert notes(scans)["near-duplicates can be told by their miniatures"].startswith("40 scans resemble more than 4")


def test_one_file_as_two_channels_is_told() -> None:
    scans = sound(ranges={"t1": (0.0, 900.0), "t2": (0.0, 800.0)})
    scans[3].contents = {"t1": "the same", "t2": "the same"}
    assert warnings(scans) == {"the channels of a case are different images": ("case_003",)}


def test_empty_masks_may_be_equal_files() -> None:
    scans = sound()
    for scan in scans[::5]:
        scan.mask = "all zero"
    assert warnings(scans) == {}


@pytest.mark.parametrize(("ends", "severity", "words"), [
    ((0.0, 4000.0), "warn", "lowest value in 1 of 30 scans: case_003 0"),
    ((-1000.0, 60_000.0), "warn", "highest value in 1 of 30 scans: case_003 6e+04"),
    ((-150.0, 1500.0), "note", "lowest value in 1 of 30 scans: case_003 -150"),
    ((-3024.0, 3000.0), "note", "lowest value in 1 of 30 scans: case_003 -3024"),
])  # fmt: skip
def test_a_ct_that_is_not_in_hounsfield_units(ends: tuple[float, float], severity: str, words: str) -> None:
    scans = sound(ranges={"CT": CT})
    scans[3].ranges = {"CT": ends}
    found = [one for one in surveyed(scans) if "Hounsfield" in one.rule]
    assert [(one.severity, one.value, one.cases) for one in found] == [(severity, words, ("case_003",))]


def test_only_a_channel_named_ct_must_be_in_hounsfield_units() -> None:
    for name in ("flair", "direct", "act1"):
        assert not [one for one in surveyed(sound(ranges={name: CT})) if "Hounsfield" in one.rule]
    for name in ("CT", "ct_image", "low-dose CT"):
        assert [one for one in surveyed(sound(ranges={name: PET})) if "Hounsfield" in one.rule]


def test_another_unit_is_a_warning_for_pet_and_a_note_for_mri() -> None:
    for name, warned in (("PET", True), ("flair", False)):
        scans = sound(ranges={name: PET})
        scans[3].ranges = {name: (0.0, 20_000.0)}
        assert bool(warnings(scans)) is warned
    assert notes(scans)["intensities of flair are comparable between scans"].startswith("ranges from ")
    scans = sound(ranges={"PET": PET})
    scans[3].ranges = {"PET": (0.0, 20_000.0)}
    ((rule, cases),) = warnings(scans).items()
    assert rule.startswith("PET has the same unit in all scans")
    assert cases == ("case_003",)


def test_exchanged_channels_are_told() -> None:
    scans = sound(ranges={"CT": CT, "PET": PET})
    assert warnings(scans) == {}
    scans[3].ranges = {"CT": PET, "PET": CT}
    assert warnings(scans)["CT and PET are not exchanged"] == ("case_003",)


def test_axes_stored_in_another_order_are_no_difference() -> None:
    scans = sound()
    scans[3].spacing, scans[3].shape = (3.0, 1.0, 1.0), (30, 64, 64)
    scans[3].affine = [[0, 1, 0, 0], [0, 0, 1, 0], [3, 0, 0, 0], [0, 0, 0, 1]]
    assert warnings(scans) == {}


def test_two_protocols_are_a_note() -> None:
    scans = sound()
    for scan in scans[:10]:
        scan.spacing, scan.shape = (1.0, 1.0, 6.0), (64, 64, 15)
    assert warnings(scans) == {}
    assert "in 10 scans" in notes(scans)["scans of a set have similar voxels"]


def test_labels_nobody_looked_for_do_not_count() -> None:
    scans = sound()
    no_core(scans)
    for scan in scans[:-2]:
        scan.annotated = ("oedema",)
    (finding,) = [one for one in surveyed(scans) if one.severity == "warn"]
    assert finding.value == "in none of 2 masks"


def test_subjects_sites_and_groups_are_counted() -> None:
    scans = sound()
    for scan in scans:
        scan.subject, scan.site = f"p{scan.number // 2}", "Oslo" if scan.number < 20 else "Bergen"
        scan.group = "a" if scan.number % 3 else "b"
    told = notes(scans)
    assert told["scans per subject"].startswith("30 scans of 15 subjects, 15 of them with several (up to 2): p0, p1")
    assert told["scans per site"] == "Oslo 20, Bergen 10"
    assert told["scans per group"] == "a 20, b 10"


def test_specks_are_noted() -> None:
    scans = sound()
    scans[3].lesions_ml = (30.0, 0.003)
    assert notes(scans)["every lesion has more than two voxels"].endswith(": case_003")


def test_refused_cases_are_left_out() -> None:
    scans = sound()
    exact_copy(scans)
    scans[17].findings = (Finding(severity="refuse", rule="r", value="v", remedy="m"),)
    assert warnings(scans) == {}
    assert notes(scans)["scans per subject"].startswith("29 scans")
    for scan in scans:
        scan.findings = scans[17].findings
    assert surveyed(scans) == []


def test_a_scan_without_mask_or_sight_is_no_error() -> None:
    scans = sound()
    scans[3].mask, scans[3].labels = None, {}
    assert notes(scans)["every scan has a mask"] == "29 masks for 30 scans; none for case_003"
    records = [scan.record() for scan in scans]
    assert survey(records, [], SCHEME)
    assert survey(records[:1], [scans[0].sight()], SCHEME)


def test_two_thousand_cases_take_a_few_megabytes() -> None:
    def records() -> Any:
        return (Scan(number).record() for number in range(2000))

    def sights() -> Any:
        one = Scan(0).sight()
        return (one.model_copy(update={"case": f"case_{number:03d}"}) for number in range(2000))

    tracemalloc.start()
    survey(records(), sights(), SCHEME)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared scans are not here")
@pytest.mark.parametrize(("folder", "options"), [
    ("Task04_Hippocampus", {}),
    ("sarcoma", {"channels": {"PET": "PET_image"}, "mask": "PET_mask"}),
])  # fmt: skip
def test_real_sets_give_no_false_alarm(tmp_path: Path, folder: str, options: dict[str, Any]) -> None:
    from medseg.files.records import read_scheme, read_sights
    from medseg.stages.index import IndexSettings, run

    machine = Machine(store=str(tmp_path / "store"))
    run(IndexSettings(data=DataSettings(**options)), {"data": DATA / folder}, tmp_path, machine)
    scheme: LabelScheme = read_scheme(tmp_path / "scheme.json").scheme
    found = survey(read_cases(tmp_path / "cases.json"), read_sights(tmp_path / "sights.jsonl"), scheme)
    assert [one for one in found if one.severity != "note"] == []
    assert not [one for one in found if "differ" in one.rule or "near-duplicates" in one.rule]
