from __future__ import annotations

from pathlib import Path

import pytest

from medseg.cli.compose import compose, conf_folder, sweep
from medseg.experiment.settings import read_settings
from medseg.values.error import Refusal


def read(*overrides: str):
    return read_settings(compose(overrides, None, "config"))


CHOICES = sorted(f"{path.parent.name}={path.stem}" for path in conf_folder().glob("*/*.yaml"))


@pytest.mark.parametrize("choice", CHOICES)
def test_every_configuration_file_gives_valid_settings(choice: str) -> None:
    settings, _ = read(choice)
    group, _, name = choice.partition("=")
    if group in {"network", "loss", "data"} and hasattr(getattr(settings, group), "kind"):
        kind = getattr(settings, group).kind
        assert kind == name or group == "data"


def test_no_override_is_the_phantom_experiment() -> None:
    settings, machine = read()
    assert (settings.name, settings.data.kind, settings.network.kind) == ("phantom", "phantom", "unet3d")
    assert machine.store == ".medseg"


def test_naming_data_means_these_data() -> None:
    settings, _ = read("data.root=somewhere")
    assert (settings.data.kind, settings.data.root) == ("folder", "somewhere")


def test_a_mapping_given_by_override_replaces_the_old_one() -> None:
    settings, _ = read("experiment=sarcoma", "data.root=x", "data.channels={PET: PET_image}")
    assert settings.data.channels == {"PET": "PET_image"}


def test_defaults_live_in_the_classes_and_overrides_need_no_plus() -> None:
    settings, _ = read("training.minutes=2.5", "augment.noise.probability=0.5", "patches.size=[32,32,16]")
    assert settings.training.minutes == 2.5
    assert settings.augment.noise.probability == 0.5
    assert settings.patches.size == (32, 32, 16)


@pytest.mark.parametrize(("override", "message"), [
    ("training.stpes=3", "training.stpes: unknown setting, got 'stpes'; did you mean 'steps'?"),
    ("trainin.steps=3", "trainin: unknown setting, got 'trainin'; did you mean 'training'?"),
    ("network.widht=3", "network.widht: unknown setting, got 'widht'; did you mean 'width'?"),
    ("machine.devise=cpu", "machine.devise: unknown setting, got 'devise'; did you mean 'device'?"),
    ("training.steps=abc", 'training.steps: a whole number is needed, got "abc"; '),
    ("training.steps=-1", "training.steps: must be greater than or equal to 1, got -1; "),
    ("training.clip=true", "training.clip: a number is needed, got true; "),
    ("inference.overlap=1.5", "inference.overlap: must be less than or equal to 0.9, got 1.5; "),
    ("loss.activation=tanh", "loss.activation: must be 'softmax' or 'sigmoid', got \"tanh\"; "),
    ("patches.size=large", "patches.size: a list is needed, like [1,2,3], got \"large\"; "),
    ("network=unet4d", "network: one of monai, unet2d, unet3d is needed, got 'unet4d'; did you mean 'unet3d'?"),
    ("seed=1,2", "seed: one value is needed for one run, got seed=1,2; add -m to sweep"),
    ("name=${oc.env:HOME}", "name: a plain value is needed, not an interpolation, got ${oc.env:HOME}; "),
    ("hydra.run.dir=x", "hydra.run.dir: Hydra's own settings are switched off, got hydra.run.dir=x; "),
    ("name=../up", "name: is written like liver, T1_only, fold-2 (letters a to z, digits and . _ = , + -), got "),
    ("machine.device=gpu", "machine.device: is written like auto, cpu, cuda, cuda:1, got \"gpu\"; "),
    ("[broken", "command line: overrides look like group=choice or name.of.setting=value, got [broken; write name="),
    ("root=x", "root: unknown setting, got 'root'; did you mean data.root?"),
    ("device=cuda", "device: unknown setting, got 'device'; did you mean machine.device?"),
    ("batch_size=2", "batch_size: unknown setting, got 'batch_size'; did you mean patches.batch?"),
    ("machine.steps=3", "machine.steps: unknown setting, got 'steps'; did you mean training.steps?"),
    ("training.width=3", "training.width: unknown setting, got 'width'; did you mean network.width?"),
    ("lr=1", "lr: unknown setting, got 'lr'; known here: augment, data, debug, inference, loss, machine, name, "),
    ("network.name=VNet", "network.name: unknown setting, got 'name'; it is a setting of network=monai"),
    ("data.layout=msd", "data.layout: unknown setting, got 'layout'; it is a setting of data=folder"),
    ("data.labels={a=1}", "data.labels: lists look like [1,2] and mappings like {a: 1, b: 2}, where names are "),
    ("name=Müller", "name: a value with other signs than letters a to z, digits and / . _ - % @ stands in quotes"),
    ("seed=${x}=1", "seed: a value with other signs than "),
])  # fmt: skip
def test_wrong_settings_end_in_one_line_with_exit_code_2(override: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(override)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_word_out_of_several_sets_is_refused_with_all_of_them() -> None:
    with pytest.raises(Refusal) as caught:
        read("data.root=x", "data.layout=decathlon")
    assert caught.value.rule == "must be 'auto', 'msd', 'nnunet', 'brats', 'bids', 'pairs' or 'csv'"
    with pytest.raises(Refusal) as caught:
        read("data.root=x", "data.repair=[roundmask]")
    assert caught.value.remedy == "did you mean 'round_mask'?"


def test_sweeps_give_every_combination() -> None:
    jobs = sweep(["seed=1,2", "network=unet2d,unet3d", "data.root=x"])
    assert jobs == [
        [f"seed={seed}", f"network={net}", "data.root=x"] for seed in (1, 2) for net in ("unet2d", "unet3d")
    ]


def test_a_users_folder_adds_choices_and_may_hold_the_main_file(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\ntraining: {steps: 7}\n")
    settings, _ = read_settings(compose(["experiment=mine"], tmp_path, "config"))
    assert (settings.name, settings.training.steps) == ("mine", 7)
    (tmp_path / "settings.yaml").write_text("name: whole\nseed: 5\n")
    settings, _ = read_settings(compose(["training.steps=9"], tmp_path, "settings"))
    assert (settings.name, settings.seed, settings.training.steps) == ("whole", 5, 9)


def test_a_yaml_file_runs_no_code(tmp_path: Path) -> None:
    target = tmp_path / "made"
    (tmp_path / "evil.yaml").write_text(f"name: x\nnetwork:\n  _target_: os.system\n  command: touch {target}\n")
    with pytest.raises(Refusal, match="network"):
        read_settings(compose([], tmp_path, "evil"))
    (tmp_path / "tag.yaml").write_text(f'name: !!python/object/apply:os.system ["touch {target}"]\n')
    with pytest.raises(Refusal, match="its files are YAML of plain values, in UTF-8, got could not determine"):
        read_settings(compose([], tmp_path, "tag"))
    assert not target.exists()


@pytest.mark.parametrize("text", [b"name: [1\n", b"name: x\nname: y\n", b"name: \xff\n", b"- a\n"])
def test_a_yaml_file_that_cannot_be_read_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(text)
    with pytest.raises(Refusal) as caught:
        compose([], tmp_path, "mine")
    assert caught.value.exit_code == 2
    assert caught.value.subject == str(tmp_path) or "'mine'" in caught.value.value


def test_a_folder_of_a_run_without_the_name_of_its_file_is_no_run_of_the_phantoms(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("name: mine\n")
    with pytest.raises(Refusal, match=r"--config-dir: holds config\.yaml, or .*; add --config-name settings"):
        compose([], tmp_path, "config")


@pytest.mark.parametrize("folder", [True, False])
def test_a_main_file_that_is_nowhere_is_refused_by_its_name(tmp_path: Path, folder: bool) -> None:
    with pytest.raises(Refusal, match=r"--config-name: names a YAML file in the folder of --config-dir, got mine; "):
        compose([], tmp_path if folder else None, "mine")
