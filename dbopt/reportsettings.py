"""The settings of reports: the one that is made each day, and what the server's charts show."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.setting import option


@dataclass(frozen=True, slots=True)
class Report:
    """The report: `dbopt stats report`, and the one that the daemon makes each day."""

    daily: str = option(
        "", "Time of day, such as 07:00, at which yesterday's report is made. Empty: none is."
    )
    timezone: str = option(
        "UTC", "Whose days and times these are: a name of the IANA database, such as Europe/Berlin."
    )
    directory: str = option(
        "", "Where the daily report is written, as report-SERVER-DATE. Empty: no file."
    )
    format: str = option("html", "The daily report's format.", choices=("html", "markdown", "json"))
    keep_days: int = option(
        30, "Daily reports in the directory that are older are removed. 0: none is.",
        unit="days", low=0, high=100_000,
    )  # fmt: skip
    webhook: str = option(
        "", "URL that the daily report is sent to: a POST of JSON with the summary and the report "
        "as Markdown. https, or http to loopback.", secret=True,
    )  # fmt: skip
    webhook_insecure: bool = option(
        False, "Allow http to an address that is not loopback. Anyone between can read the report."
    )
    webhook_timeout: float = option(
        10.0, "How long one attempt to reach the webhook may take.", unit="s", low=0.1, high=600
    )
    link: str = option(
        "", "URL under which readers find report.directory; the webhook is told the file's."
    )
    cpus: int = option(
        0, "CPUs of the server, for a line in the load chart. 0: not known.", low=0, high=100_000
    )
    top: int = option(15, "Lines of each table.", low=1, high=1000)
