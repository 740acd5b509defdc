"""The words of the command line, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.cli.help import COMMANDS
from medseg.values.error import Refusal, wrong_setting

NAMED = {"--config-dir": "config_dir", "-cd": "config_dir", "--config-name": "config_name", "-cn": "config_name"}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command and its words; `help` and `version` ask for text only."""

    command: str
    words: tuple[str, ...]
    multirun: bool
    help: bool
    version: bool
    config_dir: Path | None
    config_name: str


def parse(argv: Sequence[str]) -> Arguments:
    """Sort the words of the command line; refuses (exit 2) unknown commands and options."""
    named: dict[str, str] = {}
    words: list[str] = []
    flags: set[str] = set()
    waiting = iter(argv)
    for word in waiting:
        option, has_value, value = word.partition("=")
        if option in NAMED:
            named[NAMED[option]] = value if has_value else _next(waiting, option)
        elif word in {"-m", "--multirun", "-h", "--help", "--version"}:
            flags.add(word)
        elif word.startswith("-"):
            remedy = f"settings have no dashes: {word.lstrip('-')}" if has_value else "see medseg --help"
            rule = "options are -m, --config-dir, --config-name, --help, --version"
            raise wrong_setting("command line", rule, word, remedy)
        else:
            words.append(word)
    command = _command(words)
    wants_help = bool(flags & {"-h", "--help"}) or not (command or "--version" in flags)
    folder = Path(named["config_dir"]) if "config_dir" in named else None
    return Arguments(
        command,
        tuple(words),
        bool(flags & {"-m", "--multirun"}),
        wants_help,
        "--version" in flags,
        folder,
        named.get("config_name", "config"),
    )


def _next(waiting: Iterator[str], option: str) -> str:
    value = next(waiting, None)
    if value is None:
        raise wrong_setting(option, "a value must follow", "nothing", f"write {option} VALUE")
    return value


def _command(words: list[str]) -> str:
    """Take the command, the first word, out of the words; "" where there are none."""
    if not words:
        return ""
    if "=" in words[0]:
        name = next((word for word in words if word in COMMANDS), "run")
        rest = " ".join(word for word in words if word != name)
        raise wrong_setting("command line", "a command comes first", words[0], f"write medseg {name} {rest}")
    if words[0] not in COMMANDS:
        raise _unknown(words[0])
    return words.pop(0)


def _unknown(command: str) -> Refusal:
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, n=1)
    remedy = f"did you mean '{near[0]}'?" if near else "see medseg --help"
    return wrong_setting("command", f"one of {', '.join(COMMANDS)} is needed", f"'{command}'", remedy)
