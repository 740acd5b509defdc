"""The entry point: parse, say hello, do the command, and end with the right code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

import medseg
from medseg.cli.arguments import Arguments, parse
from medseg.cli.collector import collector_at_rest
from medseg.cli.display import say
from medseg.cli.help import about, overview
from medseg.engines.joining import joined, leave, ranks_of
from medseg.engines.leaving import Silent
from medseg.engines.ranks import ALONE, Ranks
from medseg.values.error import Refusal

TOGETHER = frozenset({"run", "prepare", "train", "predict", "score", "report"})  # what several processes do at once


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: stop as Ctrl-C does, with a checkpoint."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 data, 2 setting, 130 Ctrl-C, 143 SIGTERM.

    An error is one line on standard error; with `debug=true` its traceback comes before it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug, ranks = "debug=true" in (word.lower() for word in words), ALONE
    try:
        ranks = ranks_of(os.environ)
        arguments = _parsed(words, ranks)
        if not ranks.leads and (arguments.help or arguments.command not in TOGETHER):
            return 0
        if arguments.version or arguments.help:
            say(f"medseg {medseg.__version__}" if arguments.version else _help(arguments))
            return 0
        signal.signal(signal.SIGTERM, _terminate)
        if ranks.leads:
            print(f"medseg {medseg.__version__} {arguments.command}", file=sys.stderr, flush=True)  # noqa: T201
        with joined(ranks if arguments.command in TOGETHER else ALONE):
            code = _command(arguments)(arguments)
    except BaseException as error:
        code = _ended(error, debug)
    if ranks.world > 1:
        leave(code)
    return code


def _ended(error: BaseException, debug: bool) -> int:
    """Say in one line what ended the command, unless another process says it, and return the exit code."""
    code, text = _told(error.reason if isinstance(error, Silent) else error)
    if isinstance(error, Silent):
        return code
    if debug:
        traceback.print_exception(error)
    if text:
        from medseg.values.finding import printable  # pydantic: `medseg --help` does without

        print(f"error: {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _told(error: BaseException) -> tuple[int, str]:
    if isinstance(error, Refusal):
        return error.exit_code, str(error)
    if isinstance(error, Terminated):
        return 143, "medseg: stopped by SIGTERM; the same command goes on from here"
    if isinstance(error, KeyboardInterrupt):
        return 130, "medseg: stopped by the user; the same command goes on from here"
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1, ""
    if not isinstance(error, Exception):
        raise error
    # the last door: everything unforeseen still ends in one line
    return 1, f"medseg: an unforeseen {type(error).__name__}, got {error}; run again with debug=true to see where"


def _parsed(words: Sequence[str], ranks: Ranks) -> Arguments:
    try:
        return parse(words)
    except Refusal as refusal:
        with joined(ranks):  # several processes have met the same, and one of them says it
            raise refusal


def _help(arguments: Arguments) -> str:
    return about(arguments.command) if arguments.command else overview()


def _command(arguments: Arguments) -> Callable[[Arguments], int]:
    with collector_at_rest():
        if arguments.command == "check":
            from medseg.cli.check import check

            return check
        if arguments.command == "compare":
            from medseg.cli.compare import compare

            return compare
        if arguments.command == "evaluate":
            from medseg.cli.evaluate import evaluate

            return evaluate
        if arguments.command == "export":
            from medseg.cli.export import export

            return export
        if arguments.command == "segment":
            from medseg.cli.segment import segment

            return segment
        from medseg.cli import commands

    return {"plan": commands.plan, "clean": commands.clean}.get(arguments.command, commands.run)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
