"""Show the demo live in a terminal, as large as it is."""

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams.contracts.alert import AlertEvent
from streams.demo.state import State
from streams.demo.words import clock, reasons
from streams.evaluate.score import Outcome
from streams.evaluate.words import CAMPAIGN_COLUMNS, campaign_row, plural

REFRESH_HZ = 4  # measured: 8 ms a frame, 3 % of a core
COLOURS = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold red"}
HEAD_LINES = 6
CASE_LINES = 3  # of the screen: its strongest reasons, one a line
WIDE_COLUMNS = 100


class Screen:
    """The whole terminal while the context lasts; the terminal as it was afterwards."""

    def __init__(self, state: State, console: Console) -> None:
        self._state = state
        self._console = console
        self._live = Live(
            console=console,
            get_renderable=self._frame,
            refresh_per_second=REFRESH_HZ,
            screen=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        """Say what is being done now: the state has it already."""

    def alert(self, alert: AlertEvent) -> None:
        """Show a revision: the state has it already."""

    def tick(self) -> None:
        """Nothing to do: the screen is drawn by a thread of its own."""

    def _frame(self) -> RenderableType:
        height = self._console.height
        campaigns = self._state.score.campaigns if self._state.score else ()
        below = len(campaigns) + 3
        room = max(CASE_LINES, height - HEAD_LINES - below - 2)
        layout = Layout()
        layout.split_column(
            Layout(head(self._state), size=HEAD_LINES),
            Layout(case_panel(self._state, room // CASE_LINES), ratio=1, minimum_size=CASE_LINES),
            Layout(campaign_panel(campaigns, self._console.width < WIDE_COLUMNS), size=below),
        )
        return layout


def head(state: State) -> Panel:
    """What is going on, and the running figures."""
    numbers, traffic = state.numbers, state.traffic
    first = Table.grid(expand=True, padding=(0, 1))
    first.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    first.add_column(justify="right", no_wrap=True)
    first.add_row(Text(state.phase, style="bold"), Text(f"{state.kafka}  {state.elapsed_s:.0f} s", style="dim"))
    span_ms = traffic.plan.span
    bar = Table.grid(expand=True, padding=(0, 1))
    bar.add_column(no_wrap=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, justify="right")
    done_ms = traffic.clock_ms - span_ms.start_ms
    speed = f", {traffic.speed:,.0f} times as fast as the clock" if traffic.speed else ""
    bar.add_row(
        f"event time {clock(traffic.clock_ms)}",
        ProgressBar(total=span_ms.end_ms - span_ms.start_ms, completed=done_ms),
        f"{done_ms / 3_600_000:.1f} of {traffic.plan.hours:.0f} h{speed}",
    )
    figures = Text(no_wrap=True, overflow="ellipsis")
    for value, name in (
        (f"{numbers.events:,}", "events"),
        (f"{state.rate:,.0f}", "events/s"),
        (f"{numbers.accounts:,}", "accounts"),
        (f"{numbers.clusters:,}", "clusters watched"),
        (f"{numbers.cases:,}", "open cases"),
        (f"{len({each for case in state.cases.values() for each in case.members}):,}", "accounts named"),
    ):
        figures.append(value, style="bold cyan").append(f" {name}   ")
    lag = numbers.lag
    figures2 = Text(no_wrap=True, overflow="ellipsis", style="dim")
    figures2.append(
        f"lag {lag.get('accounts', 0):,} events, {lag.get('tokens', 0) + lag.get('campaigns', 0):,} packed records"
        f"   judged up to {clock(numbers.watermark_ms) if numbers.watermark_ms else '-'}"
        f"   {state.behind_s:.1f} s behind   {plural(state.revisions, 'revision')} on the alert topic"
    )
    title = f"[bold]stillwatch demo[/]  seed {state.seed}"
    return Panel(Group(first, bar, figures, figures2), title=title, title_align="left", border_style="cyan")


def case_panel(state: State, room: int) -> Panel:
    """The cases, newest last; the oldest give way."""
    cases = list(state.cases.values())
    shown = cases[-room:]
    table = Table.grid(padding=(0, 2), expand=True)
    for justify in ("left", "left", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for case in shown:
        alert = case.latest
        over = "" if case.active else f" {alert.status}"
        why = reasons(alert, CASE_LINES)
        table.add_row(
            clock(state.opened_ms[alert.alert_id]),
            Text(alert.severity.upper(), style=COLOURS[alert.severity]),
            Text(alert.category + over, style="bold" if case.active else "dim"),
            plural(len(case.members), "account"),
            f"{alert.exchanges.before_alert:,} leaked",
            Text("\n".join(why), no_wrap=True, overflow="ellipsis"),
        )
    named = f"{plural(len(cases), 'case')}" if cases else "no case yet"
    hidden = f", the last {len(shown)} shown" if len(shown) < len(cases) else ""
    return Panel(table, title=f"alerts as a consumer sees them: {named}{hidden}", title_align="left")


def campaign_panel(campaigns: tuple[Outcome, ...], narrow: bool) -> Panel:
    """What really happens, which the detector does not know, against what was caught."""
    title = "the campaigns that really run (the detector is not told)"
    return Panel(campaign_table(campaigns, narrow), title=title, title_align="left")


def campaign_table(campaigns: tuple[Outcome, ...], narrow: bool = False) -> Table:
    """One row a campaign; a narrow table leaves out what the others tell."""
    table = Table(box=None, expand=True, header_style="bold", pad_edge=False)
    shown = [i for i, column in enumerate(CAMPAIGN_COLUMNS) if not (narrow and column in ("accounts", "share"))]
    for column in (CAMPAIGN_COLUMNS[i] for i in shown):
        side: JustifyMethod = "left" if column in ("campaign", "caught as") else "right"
        table.add_column(column.removesuffix(" before alert") if narrow else column, justify=side, no_wrap=True)
    for outcome in campaigns:
        style = "green" if outcome.caught else "red" if outcome.called else "yellow" if outcome.exchanges else "dim"
        row = campaign_row(outcome)
        if not outcome.caught and not outcome.called:
            row[-1] = "running" if outcome.exchanges else "not begun"
        table.add_row(*(row[i] for i in shown), style=style)
    return table
