"""The findings of the checks for a terminal."""

from rich.table import Table
from rich.text import Text

from normexp.cards.finding import STATE_COLOURS, Finding


def checks_table(findings: list[Finding]) -> Table:
    """One line per check, its state first."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for each in findings:
        table.add_row(Text(each.state, STATE_COLOURS[each.state]), Text(each.sentence))
    return table
