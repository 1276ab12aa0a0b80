"""An outcome as a monitoring plugin gives it: one line with performance data, and an exit code.

Source: Monitoring Plugins' Development Guidelines, "Plugin Output for Nagios".
"""

from __future__ import annotations

from dbopt.check.run import Outcome
from dbopt.sql.findings import Finding, Severity

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_NAMED = 3
"""Findings that the line names."""


def code(outcome: Outcome) -> int:
    """The plugin's exit code; UNKNOWN only where no rule could look."""
    if outcome.worst is Severity.CRITICAL:
        return CRITICAL
    if outcome.worst is Severity.WARNING:
        return WARNING
    blind = outcome.counts()["not_examined"]
    return UNKNOWN if outcome.rules and blind == len(outcome.rules) else OK


def line(outcome: Outcome) -> str:
    """The plugin's line."""
    counts = outcome.counts()
    words = [
        f"{counts['critical']} critical",
        f"{counts['warning']} warnings",
        f"{counts['fine']} rules fine",
        f"{counts['not_examined']} not examined",
    ]
    grave = [f for f in outcome.findings if f.examined and f.severity > Severity.INFO]
    named = "; ".join(map(_short, grave[:_NAMED]))
    if len(grave) > _NAMED:
        named += f"; and {len(grave) - _NAMED} more"
    text = f"DBOPT {_WORDS[code(outcome)]} - {', '.join(words)}" + (f": {named}" if named else "")
    return f"{_plain(text)} | {_performance(outcome)}"


def unknown(words: str) -> str:
    """The line where the server could not be looked at; its code is UNKNOWN."""
    return f"DBOPT UNKNOWN - {_plain(words)}"


def _short(finding: Finding) -> str:
    return f"{finding.rule} {finding.object}: {finding.message}"


def _plain(text: str) -> str:
    """Without what would end the line or the words: a bar begins the performance data."""
    return "".join(c if c.isprintable() else " " for c in text).replace("|", "/")


def _performance(outcome: Outcome) -> str:
    counts = outcome.counts()
    values = [
        f"critical={counts['critical']};;0;0",
        f"warning={counts['warning']};0;;0",
        f"info={counts['info']};;;0",
        f"not_examined={counts['not_examined']};;;0",
    ]
    values += [f"{name}={value:g}{unit};;;0" if value < 1e6 else f"{name}={value:.0f}{unit};;;0"
               for name, (value, unit) in outcome.measures.items()]  # fmt: skip
    values.append(f"time={outcome.seconds:.3f}s;;;0")
    return " ".join(values)
