"""Hydra's part: configuration groups, overrides and sweeps become trees of plain values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import medseg
from medseg.cli.overrides import read_overrides
from medseg.values.error import Refusal, wrong_setting

# Hydra's own choices of how to start jobs, to log and to help. Nothing here asks for them, so they are left out.
_UNUSED = ("launcher", "sweeper", "output", "job_logging", "hydra_logging", "help", "hydra_help", "env")


def conf_folder() -> Path:
    """Return the folder of configuration groups: beside the package in a checkout, inside it in a wheel."""
    package = Path(medseg.__file__).resolve().parent
    inside, beside = package / "conf", package.parent / "conf"
    return inside if inside.is_dir() else beside


def compose(overrides: Sequence[str], config_dir: Path | None, config_name: str) -> dict[str, Any]:
    """Compose one tree of plain values from groups and overrides.

    A value given by an override replaces what was there, also where it is a mapping; a group override picks a file.
    Refuses (exit 2) unknown groups and choices, interpolations and everything Hydra cannot parse.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    folders = _folders(config_dir, config_name)
    groups = {path.name for folder in folders for path in folder.iterdir() if path.is_dir()}
    try:
        parsed = _parse(overrides)
        choices = [one.input_line for one in parsed if one.key_or_group in groups]
        extra = ",".join(f"file://{folder}" for folder in folders[1:])
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(folders[0]), version_base="1.3"):
            own = [f"~hydra/{group}" for group in _UNUSED] + ([f"hydra.searchpath=[{extra}]"] if extra else [])
            config = hydra_compose(config_name, [*_with_experiment(choices, parsed, groups), *own])
        OmegaConf.set_struct(config, False)
        for one in parsed:
            if one.key_or_group not in groups:
                _apply(config, one)
        tree = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, folders[0]) from None
    except (YAMLError, UnicodeError) as error:
        place = str(config_dir or folders[0])
        raise wrong_setting(place, "its files are YAML of plain values, in UTF-8", error, "mend the file") from None
    assert_plain(tree)
    return dict(tree)  # type: ignore[arg-type]


def plain_tree(overrides: Sequence[str], texts: Collection[str] = ()) -> dict[str, Any]:
    """Make a tree of plain values of overrides alone: no group and no file is read.

    `texts` are settings whose values stand as they are typed, beside those of `medseg.cli.overrides`.
    Refuses (exit 2) what `compose` refuses.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = OmegaConf.create({})
    try:
        for one in _parse(overrides, texts):
            _apply(config, one)
        tree = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, conf_folder()) from None
    assert_plain(tree)
    return dict(tree)  # type: ignore[arg-type]


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Split overrides like `seed=1,2` into one list per job, in Hydra's order."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    batches = BasicSweeper.split_arguments(read_overrides(overrides, sweeping=True), None)
    return [list(job) for batch in batches for job in batch]


def assert_plain(tree: object, path: str = "") -> None:
    """Refuse (exit 2) interpolations: a value stands where it is read, and no resolver reads the environment."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            assert_plain(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, list):
        for value in tree:
            assert_plain(value, path)
    elif isinstance(tree, str) and ("${" in tree or tree == "???"):
        raise wrong_setting(path, "a plain value is needed, not an interpolation", tree, "write the value itself")


def _folders(config_dir: Path | None, config_name: str) -> list[Path]:
    """Return the folders of configuration files, first that of the main file.

    Refuses a main file in none of them, and a folder of the user's that adds nothing.
    """
    own = conf_folder()
    if config_dir is not None and not config_dir.is_dir():
        raise wrong_setting("--config-dir", "a folder that exists is needed", config_dir, "check the path")
    folders = [own] if config_dir is None else [config_dir.resolve(), own]
    main = f"{config_name.removesuffix('.yaml')}.yaml"
    holding = [folder for folder in folders if (folder / main).is_file()]
    if not holding:
        rule = "names a YAML file in the folder of --config-dir"
        raise wrong_setting("--config-name", rule, config_name, f"check that {config_dir or 'DIR'}/{main} exists")
    if holding[0] != folders[0] and not any((folders[0] / path.name).is_dir() for path in own.iterdir()):
        names = sorted(path.stem for path in folders[0].glob("*.yaml"))
        remedy = f"add --config-name {names[0]}" if names else "check the path"
        raise wrong_setting("--config-dir", f"holds {main}, or a group like experiment/", config_dir, remedy)
    return [holding[0], *(folder for folder in folders if folder != holding[0])]


def _parse(overrides: Sequence[str], texts: Collection[str] = ()) -> list[Any]:
    parsed = read_overrides(overrides, texts)
    for one in parsed:
        if one.is_sweep_override():
            raise wrong_setting(
                one.key_or_group,
                "one value is needed for one run",
                one.input_line,
                "add -m to sweep, or quote a list as [1,2]",
            )
        if one.key_or_group.split(".")[0] == "hydra":
            raise wrong_setting(
                one.key_or_group, "Hydra's own settings are switched off", one.input_line, "leave it out"
            )
    return parsed


def _with_experiment(choices: list[str], parsed: Sequence[Any], groups: set[str]) -> list[str]:
    """Someone who names data but no experiment means these data, not the phantoms."""
    names = {one.key_or_group for one in parsed}
    if "experiment" in groups and "experiment" not in names and names & {"data", "data.root"}:
        return [*choices, "experiment=folder"]
    return choices


def _apply(config: Any, override: Any) -> None:
    from omegaconf import OmegaConf

    if override.is_delete():
        parent, _, last = override.key_or_group.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if node is not None and last in node:
            del node[last]
        return
    OmegaConf.update(config, override.key_or_group, override.value(), merge=False, force_add=True)


def _explained(error: Exception, folder: Path) -> Refusal:
    text = str(error).strip()
    first = text.splitlines()[0]
    available = sorted(
        {line.strip() for line in text.splitlines()[1:] if line.startswith("\t") and "provider=" not in line}
    )
    if "In '" in first and "Could not find" in first and available:
        wanted = first.split("Could not find '")[-1].rstrip("'.").strip("'")
        group, _, choice = wanted.rpartition("/")
        return wrong_setting(
            group, f"one of {', '.join(available)} is needed", f"'{choice}'", _nearest(choice, available)
        )
    hidden = first.replace(str(folder), "conf")
    return wrong_setting("configuration", "group choices and YAML files fit together", hidden, "see medseg --help")


def _nearest(choice: str, available: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(choice, available, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else "choose one of these"
