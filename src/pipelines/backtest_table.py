"""A backtest as lines for people."""

from collections.abc import Sequence

from .backtest import Counted, Replayed


def table(name: str, replayed: Replayed) -> str:
    """The budget against what was, by owner and by size of owner."""
    part = replayed.devices < replayed.of_devices
    sample = f", of {replayed.devices:,} of {replayed.of_devices:,} devices, scaled up" if part else ""
    lines = [f"{name}: {replayed.days:g} days, {replayed.rows:,} readings replayed{sample}", "  what was:"]
    for actual in replayed.actual:
        lines.append(
            f"    {actual.owner}: {actual.alerts_a_day:.2f} anomalies a day opened, repeats left out, of which"
            f" {actual.confirmed_a_day:.2f} were confirmed"
        )
    lines += ["  what budgets would have given, a day:", *_rows(replayed.owners)]
    lines += ["  were these an owner's of so many devices:", *_rows(replayed.sizes)]
    return "\n".join(lines)


def _rows(counted: Sequence[Counted]) -> list[str]:
    heads = ("owner", "devices", "budget", "allowed", "alerts", "outside of reported faults", "score from")
    cells = [
        (
            one.owner,
            f"{one.devices:,}",
            f"x {one.times:g}",
            f"{one.budget_a_day:.3f}",
            f"{one.alerts_a_day:.3f}",
            f"{one.false_a_day:.3f}",
            f"{one.median_score:.2f}",
        )
        for one in counted
    ]
    widths = [max(len(row[place]) for row in (heads, *cells)) for place in range(len(heads))]
    return [
        "    " + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in (heads, *cells)
    ]
