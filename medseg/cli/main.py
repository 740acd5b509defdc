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
from medseg.values.error import Refusal


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: stop as Ctrl-C does, with a checkpoint."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 data, 2 setting, 130 Ctrl-C, 143 SIGTERM.

    An error is one line on standard error; with `debug=true` its traceback comes before it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "debug=true" in (word.lower() for word in words)
    try:
        arguments = parse(words)
        if arguments.version or arguments.help:
            say(f"medseg {medseg.__version__}" if arguments.version else _help(arguments))
            return 0
        signal.signal(signal.SIGTERM, _terminate)
        print(f"medseg {medseg.__version__} {arguments.command}", file=sys.stderr, flush=True)  # noqa: T201
        return _command(arguments)(arguments)
    except Refusal as refusal:
        return _end(str(refusal), refusal.exit_code, debug)
    except Terminated:
        return _end("medseg: stopped by SIGTERM; the same command goes on from here", 143, debug)
    except KeyboardInterrupt:
        return _end("medseg: stopped by the user; the same command goes on from here", 130, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last door: everything unforeseen still ends in one line
        text = f"medseg: an unforeseen {type(error).__name__}, got {error}; run again with debug=true to see where"
        return _end(text, 1, debug)


def _help(arguments: Arguments) -> str:
    return about(arguments.command) if arguments.command else overview()


def _command(arguments: Arguments) -> Callable[[Arguments], int]:
    with collector_at_rest():
        if arguments.command == "check":
            from medseg.cli.check import check

            return check
        from medseg.cli import commands

    return {"plan": commands.plan, "clean": commands.clean}.get(arguments.command, commands.run)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _end(text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)  # noqa: T201
    return code
