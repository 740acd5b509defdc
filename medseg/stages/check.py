"""Stage check: the doctor's findings about every case and about the set, as check.json and check.html."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from medseg.files.records import CaseRecord, Sight, read_cases, read_scheme, read_sights
from medseg.report.check_page import CLEAN, CheckContent, Mending, write_check_page
from medseg.values.finding import SEVERITIES, Finding
from medseg.values.machine import Machine
from medseg.values.settings import Settings

_REFUSE, _WARN = SEVERITIES.index("refuse"), SEVERITIES.index("warn")


class CheckSettings(Settings):
    """What the page is called, and the words of the command, for the command line that it suggests."""

    title: str = "Check of a data set"
    words: tuple[str, ...] = ()


def run(settings: CheckSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write check.json and check.html from the folder of the stage index; reads no scan.

    Of a thousand cases no more than one picture is in memory at a time.
    """
    del machine
    index = inputs["index"]
    dataset = _dataset(index / "dataset.json")
    _write_json(index, dataset, out / "check.json")
    layout, channels = _head(index / "cases.json")
    ranks, mendings, mendable = _judged(read_cases(index / "cases.json"), dataset)
    content = CheckContent(
        title=settings.title,
        layout=layout,
        channels=channels,
        scheme=read_scheme(index / "scheme.json").scheme,
        dataset=dataset,
        mendings=mendings,
        mendable=mendable,
        ranks=ranks,
        words=settings.words,
        looks=lambda: looks(index),
    )
    write_check_page(content, out / "check.html")


def _write_json(index: Path, dataset: Sequence[Finding], path: Path) -> None:
    """Write check.json, one case a line: `{"cases": {CASE: {"findings", "accepted"}}, "dataset": [findings]}`."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"cases": {')
        for place, record in enumerate(read_cases(index / "cases.json")):
            findings = [finding.model_dump(mode="json", exclude={"cases"}) for finding in findings_of(record)]
            known = {"findings": findings, "accepted": record.refused is None}
            file.write((",\n" if place else "\n") + f"{_json(record.case)}: {_json(known)}")
        file.write('\n},\n"dataset": [')
        file.write(",".join("\n" + _json(finding.model_dump(mode="json")) for finding in dataset))
        file.write("\n]}\n")


def findings_of(record: CaseRecord) -> tuple[Finding, ...]:
    """Return the findings of a case; of a refused one the reason is always among them."""
    reason = record.refused
    if reason is None or any(finding.severity == "refuse" for finding in record.findings):
        return record.findings
    own = Finding(
        severity="refuse", rule=reason.rule, value=reason.value, remedy=reason.remedy, file=reason.subject or None
    )
    return (own, *record.findings)


def looks(index: Path) -> Iterator[tuple[CaseRecord, Sight | None]]:
    """Yield every record with its findings and its sight (None where nothing could be seen), in the order of cases."""
    sights = read_sights(index / "sights.jsonl")
    waiting = next(sights, None)
    for record in read_cases(index / "cases.json"):
        complete = record.model_copy(update={"findings": findings_of(record)})
        if waiting is not None and waiting.case == record.case:
            yield complete, waiting
            waiting = next(sights, None)
        else:
            yield complete, None


def _judged(records: Iterator[CaseRecord], dataset: Sequence[Finding]) -> tuple[dict[str, int], list[Mending], int]:
    """Return the worst severity of each case, the broken rules (those of most cases first), and what can be mended.

    A warning about the set counts for the cases that it names.
    """
    warned = set(chain.from_iterable(one.cases for one in dataset if one.severity == "warn"))
    ranks: dict[str, int] = {}
    broken: dict[tuple[str, str | None], tuple[Finding, list[str]]] = {}
    mendable = 0
    for record in records:
        findings = findings_of(record)
        severities = [SEVERITIES.index(finding.severity) for finding in findings]
        ranks[record.case] = min([*severities, _WARN if record.case in warned else CLEAN])
        refusals = [finding for finding in findings if finding.severity == "refuse"]
        mendable += bool(refusals) and all(finding.override for finding in refusals)
        for finding in refusals:
            cases = broken.setdefault((finding.rule, finding.override), (finding, []))[1]
            cases += [record.case] if record.case not in cases[-1:] else []
    order = sorted(broken.values(), key=lambda pair: -len(pair[1]))
    return ranks, [_mending(finding, cases) for finding, cases in order], mendable


def _mending(example: Finding, cases: Sequence[str]) -> Mending:
    return Mending(example.rule, example.value, example.remedy, example.override, tuple(cases))


def _head(path: Path) -> tuple[str, list[str]]:
    """Read the layout and the channels, that stand before the cases in the first line of cases.json."""
    with path.open(encoding="utf-8") as file:
        start = file.readline().rsplit(', "cases": [', 1)[0]
    head = json.loads(start + "}")
    return str(head["layout"]), [str(name) for name in head["channels"]]


def _dataset(path: Path) -> tuple[Finding, ...]:
    known = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Finding.model_validate_json(json.dumps(one)) for one in known)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
