"""What `--help` says, for each command, with examples."""

from __future__ import annotations

COMMANDS = {
    "run": "the whole experiment, from the index of the scans to the report",
    "plan": "say what would run, what would be reused and why; run nothing",
    "check": "the data doctor: look at every scan, say what is wrong and how to mend it",
    "prepare": "the experiment up to the prepared arrays",
    "train": "the experiment up to the trained model",
    "predict": "the experiment up to the predicted masks of the held-out scans",
    "score": "the experiment up to the scores of the held-out scans",
    "report": "the experiment up to the report (the same as run)",
    "segment": "apply a trained model to new scans: masks, how far to trust them, which to look at first",
    "evaluate": "score any two folders of masks, from whatever system: scores.csv, summary.json and a report",
    "compare": "two runs or more on the same scans: what differs, how sure that is, on which scans",
    "export": "a trained model for other programs: ONNX, torch.export or a MONAI bundle, compared with PyTorch",
    "clean": "list what lies in the store, or delete part of it",
}

OVERVIEW = """medseg: from a folder of scans to a held-out tumour-vs-healthy report

usage: medseg COMMAND [group=choice] [setting=value ...] [-m] [--config-dir DIR] [--config-name NAME]

commands
{commands}

examples
  medseg run                                        head phantoms that medseg makes itself; no download
  medseg run data.root=DIR name=mine                your own scans (layouts: msd, nnunet, brats, bids, pairs, csv)
  medseg check data.root=DIR                        are the scans sound? check.html says, with pictures
  medseg run experiment=hippocampus data.root=DIR training.minutes=20
  medseg segment model=runs/mine images=DIR out=DIR  new scans through a trained model
  medseg evaluate predictions=DIR truth=DIR out=DIR  scores of any two folders of masks
  medseg compare runs=[runs/a,runs/b] out=DIR       which is better, by how much, how sure that is
  medseg run -m seed=1,2,3 network=unet2d,unet3d    a sweep: six runs, finished stages shared
  medseg COMMAND --help                             more about one command

groups     data prepare patches augment network loss training inference report machine experiment
endings    0 fine; 1 data was refused or a case failed; 2 the command or a setting is wrong; 130/143 stopped
"""

ABOUT = {
    "run": """Every stage that is finished already is reused; only what a change touches is done again.
Results lie in runs/NAME: report/ (report.html, scores.csv, summary.json), predictions/, model/, settings.yaml.

examples
  medseg run
  medseg run data.root=DIR network.width=32 training.minutes=60
  medseg run experiment=sarcoma data.root=DIR data.channels='{PET: PET_image}'
  medseg run network=monai network.name=SegResNet
  medseg run --config-dir runs/NAME --config-name settings       the same run again
  medseg run -m seed=1,2,3                                       one run folder per job
""",
    "plan": """One line per stage: run or reuse, the reason, and the seconds it took where it is known;
then the memory a training step needs, the disk the prepared scans take and the time training will have.

examples
  medseg plan
  medseg plan experiment=hippocampus data.root=DIR training.minutes=5
""",
    "check": """Reads every scan to its last voxel and writes check.html (one file, opens offline) and check.json to
runs/NAME, or to DIR with out=DIR: what is wrong with each scan, how to mend it, what is odd about the set,
and a picture of every scan. Files are never written to; a repair changes only what is read from them.
Ends with 1 if a scan is refused.

examples
  medseg check data.root=DIR
  medseg check data.root=DIR out=DIR
  medseg check data.root=DIR data.channels='{PET: PET_image}' data.mask=PET_mask
  medseg check data.root=DIR data.repair=[round_mask,use_sform]    read so; the same setting serves medseg run
  medseg check data.root=DIR data.assume_orientation=RAS           files whose header names no directions
repairs    use_sform use_qform lengths_are_mm fill_nonfinite first_volume round_mask drop_unknown_labels resample_mask
""",
    "train": """The stages before it are done as well, or reused. The model package lies in runs/NAME/model, the
curve beside it, and in calibration.json how far validation scans say it can be trusted. A training that was
stopped, by Ctrl-C, SIGTERM or a crash, goes on with the same command.

examples
  medseg train data.root=DIR name=mine training.minutes=60
  medseg train data.root=DIR training.steps=20000 augment=full training.schedule=cosine
  medseg train data.root=DIR training.validate_every=5min training.patience=5
  medseg train data.root=DIR name=tuned training.start_from=runs/mine training.learning_rate=0.0005
  medseg train data.root=DIR name=tuned training.start_from=runs/mine training.freeze=[encoder]
  medseg train data.root=DIR machine.microbatch=1 machine.recompute=true    less memory, the same mathematics
  medseg train data.root=DIR machine.trackers=[tensorboard]                 curves in TensorBoard too
  medseg train data.root=DIR training.show_batch=1                          picture of a batch; trains nothing
  torchrun --nproc-per-node 2 -m medseg train data.root=DIR                 two processes, one global batch
trackers   tensorboard mlflow wandb: each needs its extra, e.g. pip install 'medseg[tensorboard]'
""",
    "segment": """A mask for each scan on its own grid, CASE.nii.gz, and CASE.json beside it: labels, volumes, how sure
the network was, and what is unlike the training scans. segment.html and segment.json list all scans, those first
that should be looked at. A scan that cannot be segmented stops no other: its reason is in the list, and the command
ends with 1. The same command goes on where it was stopped, and makes again only what has changed.
images is a scan, a folder (in a layout of check, masks or not; of loose scans; of DICOM series) or a CSV.

examples
  medseg segment model=runs/mine images=DIR out=masks
  medseg segment model=DIR images=scan.nii.gz out=masks inference.mirror=true
  medseg segment model='[runs/fold0,runs/fold1]' images=DIR out=masks          folds, averaged
  medseg segment model=DIR images=DIR out=masks data.channels='{PET: *_PET, CT: *_CT}'
  medseg segment model=DIR images=DIR out=masks guard=refuse                   no masks for unlike scans
  medseg segment model=DIR images=DIR out=masks probabilities=true uncertainty=true
  medseg segment model=DIR images=DIR out=masks machine.write=nrrd             nifti nrrd mha dicom_seg
  medseg segment model=DIR images=DIR out=masks machine.device=cpu machine.runtime=openvino
layouts    data.layout=auto msd nnunet brats bids pairs csv, scans for loose ones
""",
    "evaluate": """Holds predicted masks against true ones of the same names and writes scores.csv, summary.json,
report.html (one file, opens offline) and evaluate.json to DIR. Formats may differ: NIfTI, NRRD, MetaImage, DICOM-SEG.
A prediction that is missing, damaged, on another grid or of other labels counts as the worst one and is listed with
its reason; the command then ends with 1. Nothing is written into the folders that are read.

examples
  medseg evaluate predictions=DIR truth=DIR out=DIR
  medseg evaluate predictions=DIR truth=DIR out=DIR regions='{lesion: [1], whole: [1,2]}' tumour=whole
  medseg evaluate predictions=DIR truth=DIR out=DIR labels='{3: 4}'        a 3 of the predictions is a 4 of the truth
  medseg evaluate predictions=DIR truth=DIR out=DIR suffix=_pred truth_suffix=-seg     CASE_pred.nii.gz, CASE-seg.nii.gz
  medseg evaluate predictions=DIR truth=DIR out=DIR images=DIR body.kind=otsu          pictures, healthy tissue
  medseg evaluate predictions=DIR truth=DIR out=DIR subjects=people.csv    columns case, subject, site
  medseg evaluate predictions=DIR truth=DIR out=DIR lesions=glioma empty=one nsd_tolerance_mm=2 grid=resample
  medseg evaluate predictions=DIR truth=DATASET out=DIR cases=test.txt     truth in a layout; only the cases listed
  medseg evaluate predictions=DIR truth=DIR out=DIR probabilities=DIR      calibration and FROC too
lesions    none glioma africa paediatric meningioma metastases
""",
    "compare": """Runs, or folders that evaluate wrote, scored on the same scans with the same truth. Prints what
differs in sentences and writes compare.html (one file, opens offline) and compare.json to DIR: paired differences with
95 % intervals, Wilcoxon's test, scans won and lost, healthy scans, the scans that changed most. Runs that differ only
in seed or split.fold are taken together, and it is said what seeds alone do.

examples
  medseg compare runs=[runs/a,runs/b] out=a-b                   b against a
  medseg compare runs=[runs/a,runs/b,runs/c] out=abc            every pair, p-values after Holm
  medseg compare runs=[runs/a,runs/b,runs/c] reference=a out=abc            b and c against a
  medseg compare runs=[runs/exp-network=unet2d*,runs/exp-network=unet3d*] out=networks     seeds of a sweep together
  medseg compare runs=[runs/a,elsewhere] out=DIR measure=hd95_mm regions=[core]
  medseg compare runs=[runs/a,runs/b] out=DIR cases=common      only scans that both have scored
""",
    "export": """Writes FILE and FILE.json, which says what goes in and comes out, and how far the answers are from
PyTorch's on windows of a scan, or of noise like one. Where that is more than a thousandth of the largest logit,
nothing is written. Windows have the size of the model's plan; how many are given at once is free.

examples
  medseg export model=runs/mine format=onnx out=mine.onnx
  medseg export model=runs/mine format=onnx out=runs/mine/model/model.onnx     where machine.runtime=onnx looks first
  medseg export model=DIR format=onnx out=mine.onnx images=[FLAIR.nii.gz,T1.nii.gz]      compared on a scan's windows
  medseg export model=DIR format=torch out=mine.pt2                            read by torch.export.load, no pickle
  medseg export model=DIR format=monai out=BUNDLE                              python -m monai.bundle run runs it
onnx needs an extra: pip install 'medseg[onnx]'
""",
    "clean": """Without a choice it only lists. Runs keep their own links to results, so a run's folder stays whole.
What is being worked on stays too, and so does everything that no store has made.

examples
  medseg clean                       what lies there, by stage
  medseg clean drafts                delete what crashed or stopped runs left behind (their checkpoints too)
  medseg clean older=30              delete results older than 30 days
  medseg clean all machine.store=DIR delete everything in that store
""",
}
_UP_TO = """It does the stages before it as well and reuses those that are finished.

examples
  medseg {name}
  medseg {name} data.root=DIR name=mine
"""


def overview() -> str:
    """Return the text of `medseg --help`."""
    return OVERVIEW.format(commands="\n".join(f"  {name:9} {text}" for name, text in COMMANDS.items()))


def about(command: str) -> str:
    """Return the text of `medseg COMMAND --help`."""
    text = ABOUT.get(command, _UP_TO.format(name=command))
    return f"medseg {command}: {COMMANDS[command]}\n\n{text}"
