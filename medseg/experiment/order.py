"""The order of the stages: which task needs which, from the data folder to the report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from medseg.engines.sampling.settings import AugmentSettings
from medseg.engines.training.trackers.opening import require
from medseg.experiment.demands import Demands
from medseg.experiment.outcome import STAGES, Outcome
from medseg.experiment.provenance import provenance_of, settings_of
from medseg.experiment.room import demand_disk, demand_training
from medseg.experiment.runner import Do, Foreteller, Runner, Unfinished
from medseg.experiment.settings import ExperimentSettings
from medseg.experiment.sources import DataSource, data_source
from medseg.experiment.start import card_source, package_source
from medseg.files.layouts.find import DataSettings
from medseg.files.listing import folder_of
from medseg.files.records import read_cases, read_scheme
from medseg.ops.phantom_settings import PhantomSettings
from medseg.ops.postprocessing import Postprocessing, demand_regions
from medseg.pipeline.store import Finished, Source, Store
from medseg.stages.score import ScoreStage
from medseg.stages.split import SplitStage
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.machine import Machine
from medseg.values.settings import Settings

PHANTOM_DATA = DataSettings(
    layout="brats",
    labels={"core": 1, "oedema": 2},
    regions={"core": (1,), "oedema": (2,), "tumour": (1, 2)},
    tumour="tumour",
)


class Chain:
    """Walks the stages of one experiment with `do`, up to and including the stage `until`.

    `unknown` names a stage that a plan found undone for some case.
    """

    def __init__(self, settings: ExperimentSettings, do: Do, machine: Machine) -> None:
        self.settings, self.do, self.machine = settings, do, machine
        self.store = Path(machine.store)
        self.outcome = Outcome()
        self.unknown = ""
        self._trains = False

    def walk(self, until: str = "report") -> Outcome:
        """Do the stages in order. A case that fails is noted and the others go on; other refusals are raised.

        What only training needs, a package or a tracker, is refused before anything is done, and what it could not do
        as soon as that is known.
        """
        self._trains = STAGES.index(until) >= STAGES.index("train")
        if self._trains:
            require(self.machine.trackers)
        if STAGES.index(until) >= STAGES.index("fingerprint"):
            _ = self.start
        return self._walk(until, self._demand_before if self._trains else lambda stage: None)

    def _walk(self, until: str, before: Callable[[str], None]) -> Outcome:
        steps = {
            "index": self._index,
            "split": self._split,
            "fingerprint": self._fingerprint,
            "prepare": self._prepare,
            "train": self._train,
            "calibrate": self._calibrate,
            "predict": self._predict,
            "score": self._score,
            "report": self._report,
        }
        for stage, step in steps.items():
            before(stage)
            step()
            if self.unknown:
                raise Unfinished(self.unknown)
            if stage == until:
                break
        return self.outcome

    def _demand_before(self, stage: str) -> None:
        """Refuse before a stage what training would refuse after it."""
        demands = Demands(self.settings, self.machine, lambda: self.trained)
        if stage == "index":
            demands.before_all()
        elif stage == "split":
            demands.of_device()
        elif stage == "fingerprint":
            demands.of_cases(self._cases("train", "validation"))
        elif stage == "prepare":
            plan, scheme = self._of("fingerprint", "plan.json"), self._of("index", "scheme.json")
            start = None if self.start is None else self.start.path
            demands.of_beginning(self._train_settings, plan.path, scheme.path, start)

    def _index(self) -> None:
        data = self.settings.data
        if isinstance(data, PhantomSettings):
            made = self._once("phantom", data, {})
            data = PHANTOM_DATA.model_copy(update={"root": str(made.folder / "data")})
        source = DataSource.read(self.do.agreed(lambda: data_source(data, self.store, self.machine).text))
        self.outcome.data = source.folder
        from medseg.stages.index import IndexSettings

        rootless = data.model_copy(update={"root": None})
        index = self._once("index", IndexSettings(data=rootless), source.inputs)
        for one in read_cases(index.folder / "cases.json"):
            self.outcome.cases += 1
            if one.refused is not None:
                self.outcome.refused[one.case] = one.refused
        noticed = json.loads((index.folder / "dataset.json").read_text(encoding="utf-8"))
        self.outcome.noticed = tuple(Finding.model_validate_json(json.dumps(one)) for one in noticed)

    def _split(self) -> None:
        self._refuse_if_nothing_is_left()
        settings = self.settings.split
        inputs = {"index": self._of("index")}
        if isinstance(settings.held_out, str):
            inputs["held_out"] = named_file(Path(settings.held_out))
            settings = settings.model_copy(update={"held_out": "file"})
        self._once("split", SplitStage(seed=self.settings.seed, split=settings), inputs)

    def _refuse_if_nothing_is_left(self) -> None:
        reasons = list(self.outcome.refused.values())
        if len(reasons) < self.outcome.cases:
            return
        rule, count = Counter(reason.rule for reason in reasons).most_common(1)[0]
        first = next(reason for reason in reasons if reason.rule == rule)
        value = f"none of {len(reasons)}; {count} of them: {first.subject}: {rule}, got {first.value}"
        raise Refusal("data.root", "at least one case can be used", value, first.remedy)

    def _fingerprint(self) -> None:
        from medseg.stages.fingerprint import FingerprintStage

        own = self.settings
        self._check_regions()
        settings = FingerprintStage(
            seed=own.seed, prepare=own.prepare, patches=own.patches, network=own.network, loss=own.loss
        )
        cases = {f"cases/{case}": self._record(case) for case in self._parts()["train"]}
        start = {} if self.start is None else {"start": card_source(self.start)}
        self._once("fingerprint", settings, {**self._base(), **cases, **start})

    def _check_regions(self) -> None:
        """Refuse (exit 2) a clean-up or a tolerance of unknown regions before anything is trained."""
        scheme, wanted = read_scheme(self._of("index", "scheme.json").path).scheme, self.settings.inference.postprocess
        self.settings.score.demand_regions(scheme.regions)
        if isinstance(wanted, Postprocessing):
            demand_regions(scheme, wanted)

    def _prepare(self) -> None:
        shared = {**self._base(), "preparation": self._of("fingerprint", "preparation.json")}
        tasks = {
            case: {**shared, "case": self._record(case)} for case in self._cases("train", "validation", "held_out")
        }
        if isinstance(self.do, Runner):
            self.do.before["prepare"] = lambda case: self._demand_room(tasks, case)
        self._fan("prepare", self.settings.prepare, tasks, self.outcome.prepared)

    def _demand_room(self, tasks: Mapping[str, Mapping[str, Source]], case: str) -> None:
        """Refuse (exit 2) scans without room on the disk, and a training without room, as a `case` must be prepared."""
        done = Foreteller(Store(self.store)).each("prepare", self.settings.prepare, tasks).done
        demand_disk(self.outcome.stages, len(tasks) - len(done), self.store)
        if self._trains and case not in self._parts()["held_out"]:
            demand_training(self.settings, self.outcome.stages, self.machine)

    def _train(self) -> None:
        inputs = self.training_inputs()
        if self.start is not None:
            inputs["start"] = self.start
        self._once("train", self._train_settings, inputs)

    @property
    def _train_settings(self) -> TrainStageSettings:
        own = self.settings
        return TrainStageSettings(
            seed=own.seed,
            network=own.network,
            loss=own.loss,
            patches=own.patches,
            augment=self.augment,
            training=own.training.model_copy(update={"show_batch": None, "start_from": self.start and "package"}),
            inference=own.inference.for_validation(),
            prepare=own.prepare,
        )

    def _done(self, part: str) -> dict[str, Source]:
        """The prepared cases of a part of the split, by part and case."""
        done = [case for case in self._parts()[part] if case in self.outcome.prepared]
        return {f"{part}/{case}": self.outcome.prepared[case].source() for case in done}

    @cached_property
    def trained(self) -> bool:
        """Whether the training of these settings lies finished in the store."""
        foretold = Chain(self.settings, Foreteller(Store(self.store)), self.machine)
        try:
            foretold._walk("train", lambda stage: None)
        except (Unfinished, Refusal):
            return False
        return True

    @cached_property
    def start(self) -> Source | None:
        """The package that training starts from, None where its first weights are random."""
        named = self.settings.training.start_from
        return None if named is None else package_source(named, Path(self.machine.runs) / self.settings.name)

    @property
    def augment(self) -> AugmentSettings:
        """How training patches are changed, in a way that suits the channels that cases may lack."""
        zeros = getattr(self.settings.data, "missing_channel", "refuse") == "zeros"
        return self.settings.augment.for_missing_channels() if zeros else self.settings.augment

    def training_inputs(self) -> dict[str, Source]:
        """Return what training reads, once the cases have been prepared; refuses to train on none."""
        inputs = {name: self._of("fingerprint", f"{name}.json") for name in ("plan", "preparation", "familiar")}
        inputs["scheme"] = self._of("index", "scheme.json")
        inputs.update(self._done("train"), **self._done("validation"))
        if not any(name.startswith("train/") for name in inputs):
            raise Refusal("train", "at least one training case must have been prepared", 0, "see the refusals above")
        return inputs

    def _calibrate(self) -> None:
        from medseg.stages.calibrate import CalibrateStage

        settings = CalibrateStage(seed=self.settings.seed, inference=self.settings.inference)
        self._once("calibrate", settings, {"model": self._of("train", "model"), **self._done("validation")})

    def _predict(self) -> None:
        from medseg.stages.predict import PredictStage

        settings = PredictStage(inference=self.settings.inference, **dict(self.settings.predict))
        shared = {"model": self._of("calibrate", "model"), "scheme": self._of("index", "scheme.json")}
        prepared = {
            case: self.outcome.prepared[case] for case in self._cases("held_out") if case in self.outcome.prepared
        }
        tasks = {case: {**shared, "prepared": done.source()} for case, done in prepared.items()}
        self._fan("predict", settings, tasks, self.outcome.predictions)

    def _score(self) -> None:
        settings = ScoreStage(**dict(self.settings.score), body=self.settings.prepare.body)
        tasks = {
            case: {**self._base(), "case": self._record(case), **self._prediction(case)}
            for case in self._cases("held_out")
        }
        self._fan("score", settings, tasks, self.outcome.scores)

    def _prediction(self, case: str) -> dict[str, Source]:
        """The prediction to score, or else why there is none."""
        if case in self.outcome.predictions:
            return {"prediction": self.outcome.predictions[case].source()}
        if isinstance(self.do, Runner):
            return {"failure": self.do.keep_text(self.outcome.failed.get(case, "the prediction is missing"))}
        return {}

    def _report(self) -> None:
        if not self._cases("held_out"):
            return
        inputs = {
            **self._base(),
            "index": self._of("index", "cases.json"),
            "split": self._of("split", "split.json"),
            "plan": self._of("fingerprint", "plan.json"),
            "curve": self._of("train", "curve.csv"),
            "calibration": self._of("calibrate", "calibration.json"),
            "card": self._of("calibrate", "model/card.json"),
            **self._made(),
        }
        for case in self._cases("held_out"):
            inputs[f"cases/{case}"] = self._record(case)
            for name, done in (("predictions", self.outcome.predictions), ("scores", self.outcome.scores)):
                if case in done:
                    inputs[f"{name}/{case}"] = done[case].source()
        self._once("report", self.settings.report, inputs)

    def _made(self) -> dict[str, Source]:
        """What the report tells of its making."""
        done = self.outcome
        told = provenance_of(done.stages, done.predictions.values(), done.scores.values(), self.settings.seed)
        texts = {"settings": settings_of(self.settings), "provenance": told}
        return {name: self.do.keep_text(text) for name, text in texts.items()}

    def _once(self, stage: str, settings: Settings, inputs: Mapping[str, Source]) -> Finished:
        finished = self.do(stage, settings, inputs)
        self.outcome.stages[stage] = finished
        return finished

    def _fan(
        self, stage: str, settings: Settings, tasks: Mapping[str, Mapping[str, Source]], done: dict[str, Finished]
    ) -> None:
        """Do a stage for each case; a case that fails is noted and stops nothing."""
        found = self.do.each(stage, settings, tasks)
        done.update(found.done)
        self.outcome.failed.update(found.failed)
        if len(found.done) + len(found.failed) < len(tasks):
            self.unknown = stage

    def _base(self) -> dict[str, Source]:
        if self.outcome.data is None:
            raise RuntimeError("the index comes first")
        folder = folder_of(self.outcome.data.path)
        named_by_records = Source(folder, "named by the digests in the case record")
        return {"data": named_by_records, "scheme": self._of("index", "scheme.json")}

    def _of(self, stage: str, name: str = "") -> Source:
        return self.outcome.stages[stage].source(name)

    def _record(self, case: str) -> Source:
        return self._of("index", f"cases/{case}.json")

    def _parts(self) -> dict[str, list[str]]:
        parts: dict[str, list[str]] = json.loads(
            (self.outcome.stages["split"].folder / "split.json").read_text("utf-8")
        )
        return parts

    def _cases(self, *parts: str) -> Sequence[str]:
        return [case for part in parts for case in self._parts()[part]]


def named_file(path: Path) -> Source:
    """Return a file that a setting names as an input; refuses (exit 2) one that does not exist."""
    from medseg.values.digests import digest_of_file
    from medseg.values.error import wrong_setting

    if not path.is_file():
        raise wrong_setting("split.held_out", "a share or a file that exists is needed", path, "check the path")
    return Source(path, digest_of_file(path))
