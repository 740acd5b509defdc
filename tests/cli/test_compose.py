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
    ("name=../up", 'name: String should match pattern'),
    ("[broken", "command line: overrides look like group=choice or name.of.setting=value, got "),
])  # fmt: skip
def test_wrong_settings_end_in_one_line_with_exit_code_2(override: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(override)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


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
    with pytest.raises(Exception, match=r".*"):
        read_settings(compose([], tmp_path, "tag"))
    assert not target.exists()
