"""The one error type that a user is meant to read."""

from __future__ import annotations


class Refusal(Exception):
    """Say what was refused: subject, rule, value and remedy, as one line.

    `exit_code` is 1 where data or a case is at fault and 2 where the command or a setting is.
    `override` is the setting that applies the remedy, where there is one; the remedy names it too.
    """

    def __init__(
        self, subject: str, rule: str, value: object, remedy: str, exit_code: int = 1, override: str | None = None
    ) -> None:
        self.subject = _one_line(subject)
        self.rule = _one_line(rule)
        self.value = _one_line(str(value))
        self.remedy = _one_line(remedy)
        self.exit_code = exit_code
        self.override = override
        super().__init__(f"{self.subject}: {self.rule}, got {self.value}; {self.remedy}")


def wrong_setting(path: str, rule: str, value: object, remedy: str) -> Refusal:
    """Make the refusal of a setting: `path` is its dotted name, the exit code is 2."""
    return Refusal(path, rule, value, remedy, exit_code=2)


def _one_line(text: str) -> str:
    return " ".join(text.split())
