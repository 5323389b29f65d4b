"""``stillwatch evaluate``: how early campaigns are caught, and who is wrongly named, on simulated traffic."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streams.commands.options import CONFIG, JSON, echo_json, echo_table
from streams.config import Settings
from streams.errors import InputError
from streams.settings import load

if TYPE_CHECKING:
    from streams.evaluate.results import Result
    from streams.evaluate.rows import Row, Run
    from streams.evaluate.run import Task
    from streams.evaluate.summary import Summary


class Mode(NamedTuple):
    """Defaults of a mode: of what is not asked for otherwise."""

    accounts: int
    seeds: str
    month_seeds: str  # 30 days of a smaller service with all benign kinds
    crowd_seeds: str  # benign crowds as large as reports have them
    baseline_seeds: int  # of the seeds the first: the other methods cost as much as the detector
    baseline_month_seeds: int
    calibration_seeds: str  # for the thresholds of the other methods
    calibration_month_seeds: str
    calibration_crowd_seeds: str


QUICK = Mode(2_000, "1", "", "", 1, 0, "101-104", "", "")
FULL = Mode(20_000, "20108-20127", "20108-20115", "20108-20111", 4, 2, "101-108", "101-102", "101")
HOURS = 6.0  # of benign runs; benchmark.toml has those of the others
MONTH_ACCOUNTS, MONTH_H = 800, 720.0  # all kinds at once; 8 such runs are 30 million exchanges
# Of a kind of which a share of so few would be one or two accounts: a group that could be named takes three.
MONTH_KINDS = {"ci_review": 8, "quality_monitor": 6} | dict.fromkeys(
    (
        "shared_team_key",
        "evaluation_suite",
        "synthetic_data",
        "rag_backfill",
        "llm_gateway",
        "fallback_router",
        "audit_logging",
    ),
    5,
)
MONTH_RELEASE_H = (
    250.0  # of a new model, on the eleventh day: everybody who takes it up, and the rush over public test sets
)


def _seeds(text: str) -> tuple[int, ...]:
    """Read seeds such as ``1-3,7``."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise click.BadParameter(f"{part!r} is neither a seed nor a range such as 1-20") from None
    return tuple(dict.fromkeys(found))


def _asked_seeds(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not (seeds := _seeds(value)):
        raise click.BadParameter(f"{value!r} names no seed; give seeds or ranges such as 1-3,7")
    return seeds


def _numbers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in (value or "").split(",") if part)
    except ValueError:
        found = (0.0,)
    if not all(0 < share <= 1 for share in found):
        raise click.BadParameter("give shares above 0 and up to 1, such as 0.1,0.01")
    return found


@click.command()
@click.option("--quick", "mode", flag_value="quick", default=True, help="Small and fast: minutes.  [default]")
@click.option(
    "--full", "mode", flag_value="full", help="20,000 benign accounts, 20 reporting seeds, 30-day runs: hours."
)
@click.option("--shapes", metavar="NAMES", default="", help="Rows (D5, D5-10) or shapes (hydra), with commas; `none`.")
@click.option("--seeds", metavar="SEEDS", callback=_asked_seeds, help="Such as 1-3,7.  [default: 1, or 20108-20127]")
@click.option(
    "--month-seeds",
    metavar="SEEDS",
    callback=_asked_seeds,
    help="Of 30 benign days.  [default: none, or 8; none with --seeds]",
)
@click.option(
    "--crowd-seeds",
    metavar="SEEDS",
    callback=_asked_seeds,
    help="Of benign crowds as large as reports have them.  [default: none, or 4; none with --seeds]",
)
@click.option("--contamination", callback=_numbers, metavar="SHARES", help="Run the rows at each share, as 0.1,0.01.")
@click.option("--accounts", type=click.IntRange(200), help="Benign accounts.  [default: 2000, or 20000]")
@click.option(
    "--hours",
    type=click.FloatRange(0, min_open=True),
    help="Event time of each run; not of those that begin later.  [default: by row]",
)
@click.option("--no-baselines", is_flag=True, help="Leave the other methods out.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the report; runs are kept.")
@click.option("--list", "listing", is_flag=True, help="List the rows, and end.")
@CONFIG
@JSON
def evaluate(config_path: Path | None, as_json: bool, out: Path | None, listing: bool, **options: Any) -> None:
    """Measure the detector on simulated traffic whose truth is known, beside simple methods on the same events.

    \b
    stillwatch evaluate --out quick                            # one tuning seed, every row, minutes
    stillwatch evaluate --shapes D1,D5 --seeds 1-5 --out mine  # while working on the detector
    stillwatch evaluate --full --out report                    # reporting seeds, hours; goes on where it broke off

    The folder gets report.md, report.json, plots, and a line per run in runs.jsonl. Runs that are there are not done
    again, unless the code has changed.
    """
    import tempfile

    from streams.evaluate import report
    from streams.evaluate.compare import thresholds
    from streams.evaluate.rows import choose, goal_of, table, with_contamination

    if listing:
        echo_table(
            ("row", "shape", "goal", "campaign"),
            [(row.id, row.title, goal_of(row), row.campaign) for row in table().rows],
        )
        return
    settings = load(config_path).settings
    names = [name.strip() for name in options["shapes"].split(",") if name.strip()]
    rows = () if names == ["none"] else with_contamination(choose(names), options["contamination"])
    with tempfile.TemporaryDirectory(prefix="stillwatch-evaluate-") as temporary:
        folder = out or Path(temporary)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {error.strerror}") from None
        calibration: list[Result] = []
        if not options["no_baselines"]:
            calibration = _measure(_calibration(settings, options), folder, options["jobs"], as_json)
        matched = thresholds(calibration) if calibration else None
        tasks = _tasks(rows, settings, options, matched)
        results = _measure(tasks, folder, options["jobs"], as_json)
        found = report.summarise(results, rows, settings.campaigns.false_cases_per_day, calibration)
        report.write(found, folder)
    if as_json:
        echo_json(found)
    else:
        _show(found)
        if out is not None:
            click.echo(f"\nwritten to {out / 'report.md'}")


def _calibration(settings: Settings, options: dict[str, Any]) -> "list[Task]":
    """Benign runs on tuning seeds, for the thresholds of the baselines."""
    from streams.code import code_digest
    from streams.evaluate.rows import benign_runs
    from streams.evaluate.run import Task
    from streams.simulator.kinds import FULL_SIZES

    mode = _mode(options)
    accounts = options["accounts"] or mode.accounts
    found = benign_runs(_seeds(mode.calibration_seeds), accounts, options["hours"] or HOURS, "thresholds")
    months = _seeds(mode.calibration_month_seeds)
    found += _months(months, accounts, "thresholds-month")
    found += benign_runs(_seeds(mode.calibration_crowd_seeds), accounts, HOURS, "thresholds-crowds", FULL_SIZES)
    return [Task(run, settings, code_digest(), detect=False, matched={}) for run in found]


def _months(seeds: tuple[int, ...], accounts: int, name: str) -> "list[Run]":
    from streams.evaluate.rows import benign_runs

    accounts = min(accounts, MONTH_ACCOUNTS)
    return benign_runs(seeds, accounts, MONTH_H, name, MONTH_KINDS, MONTH_RELEASE_H)


def _mode(options: dict[str, Any]) -> Mode:
    return FULL if options["mode"] == "full" else QUICK


def _tasks(
    rows: "tuple[Row, ...]", settings: Settings, options: dict[str, Any], matched: dict[str, float] | None
) -> "list[Task]":
    """All runs; the other methods go along on the first seeds."""
    from streams.code import code_digest
    from streams.evaluate.rows import benign_runs, runs
    from streams.evaluate.run import Task
    from streams.simulator.kinds import FULL_SIZES

    mode = _mode(options)
    asked, month, crowds = options["seeds"], options["month_seeds"], options["crowd_seeds"]
    seeds = _seeds(mode.seeds) if asked is None else asked
    month = (_seeds(mode.month_seeds) if asked is None else ()) if month is None else month
    crowds = (_seeds(mode.crowd_seeds) if asked is None else ()) if crowds is None else crowds
    accounts = options["accounts"] or mode.accounts
    found = runs(rows, seeds, accounts, options["hours"])
    if not rows and seeds:
        found = benign_runs(seeds, accounts, options["hours"] or HOURS)
    found += benign_runs(crowds, accounts, HOURS, "crowds", FULL_SIZES)
    months = _months(month, accounts, "month")
    compared = seeds if asked is not None else seeds[: mode.baseline_seeds]
    compared_months = month[: mode.baseline_month_seeds]
    return [Task(run, settings, code_digest(), matched=matched if run.seed in compared else None) for run in found] + [
        Task(run, settings, code_digest(), matched=matched if run.seed in compared_months else None) for run in months
    ]


def _measure(tasks: "list[Task]", folder: Path, jobs: int, quiet: bool) -> "list[Result]":
    from streams.evaluate.workers import work

    with _progress(len(tasks), quiet) as screen:
        return work(tasks, folder, jobs, screen.begun, screen.report, screen.finished)


class _Quiet:
    """Say nothing."""

    def begun(self, task: "Task") -> None:
        """Note a run that begins."""

    def report(self, task: "Task", done: int, expected: int) -> None:
        """Note how far a run is."""

    def finished(self, result: "Result", before: bool) -> None:
        """Note a run that is done."""


class _Lines(_Quiet):
    """A line for each run, for a log."""

    def __init__(self, tasks: int) -> None:
        self._tasks, self._done, self._began = tasks, 0, time.monotonic()

    def finished(self, result: "Result", before: bool) -> None:
        """Print a line."""
        self._done += 1
        if not before:
            click.echo(
                f"{self._done}/{self._tasks} {result.key}: {result.events:,} events, {result.cpu_s:.0f} s of CPU, "
                f"{time.monotonic() - self._began:,.0f} s in all",
                err=True,
            )


class _Bars(_Quiet):
    """A bar for all runs and one for each that is under way."""

    def __init__(self, progress: Any, tasks: int) -> None:
        self._progress, self._bars = progress, dict[str, Any]()
        self._all = progress.add_task("runs", total=tasks)

    def begun(self, task: "Task") -> None:
        """Show its bar."""
        self._bars[task.digest] = self._progress.add_task(task.run.key, total=None)

    def report(self, task: "Task", done: int, expected: int) -> None:
        """Move its bar."""
        self._progress.update(self._bars[task.digest], completed=done, total=expected)

    def finished(self, result: "Result", before: bool) -> None:
        """Take its bar away and move that of all."""
        if result.digest in self._bars:
            self._progress.remove_task(self._bars.pop(result.digest))
        self._progress.advance(self._all)


@contextmanager
def _progress(tasks: int, quiet: bool) -> Iterator[_Quiet]:
    """Bars on a terminal, a line for each run elsewhere, on standard error."""
    if quiet or not sys.stderr.isatty():
        yield _Quiet() if quiet else _Lines(tasks)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress, tasks)


def _show(found: "Summary") -> None:
    never: Callable[[float | None], str] = lambda value: "never" if value is None else f"{value:,.0f}"  # noqa: E731
    lines = [
        (
            row.id,
            never(row.goal) if row.goal is not None else "",
            never(row.figure.median),
            never(row.figure.worst),
            {True: "yes", False: "no", None: ""}[row.met],
            f"{row.caught}/{row.seeds}",
            f"{row.precision:.3f}" if row.precision == row.precision else "",
            f"{row.recall:.2f}",
            row.unit,
        )
        for row in found.rows
    ]
    echo_table(("row", "goal", "median", "worst", "met", "caught", "precision", "recall", "unit"), lines)
    click.echo(
        f"\n{found.false_cases} false cases and {found.benign_named} benign accounts named in "
        f"{found.benign_exchanges:,} benign exchanges; seeds: "
        + "; ".join(f"{name} {len(seeds)}" for name, seeds in found.splits.items())
    )
