"""The first line of the fleet page: does the reader have to do something?"""

from collections.abc import Mapping
from dataclasses import dataclass

from .words import duration, listed, number, plural


@dataclass(frozen=True, slots=True)
class SiteNews:
    """A site that an open alert is about."""

    name: str
    since_ms: int
    devices: int
    silent: int


def headline(counts: Mapping[str, int], devices: int, sites: int, models: int = 0) -> str:
    """Say what needs the reader now.

    `counts`: devices by status; `devices`, `sites`, `models`: how many of each have an open alert that nobody has
    acknowledged or silenced.
    """
    total = sum(counts.values())
    urgent = {"device": devices, "site": sites, "model": models}
    if any(urgent.values()):
        parts = [plural(n, what) for what, n in urgent.items() if n]
        return f"{listed(parts)} {'needs' if sum(urgent.values()) == 1 else 'need'} you now."
    if counts["healthy"] == total:
        return "The device is healthy." if total == 1 else f"All {number(total)} devices are healthy."
    if counts["learning"] == total:
        return f"{plural(total, 'device')} {'is' if total == 1 else 'are'} learning what is normal."
    if counts["healthy"] + counts["learning"] == total:
        return "Nothing needs you now."
    return "Nothing new needs you now."


def under(counts: Mapping[str, int], sites: list[SiteNews], now_ms: int) -> str:
    """Say the rest in one line: how many are healthy, and what became of whole sites."""
    total = sum(counts.values())
    said = []
    if counts["healthy"] < total:
        said.append(
            f"{number(counts['healthy'])} of {number(total)} {'is' if counts['healthy'] == 1 else 'are'} healthy."
        )
    if counts["learning"] and counts["learning"] < total:
        n = counts["learning"]
        said.append(f"{number(n)} still {'learns' if n == 1 else 'learn'} what is normal.")
    if counts["learning"] == total:
        said.append("Alerts begin when enough readings have come in to know it.")
    for site in sites[:2]:
        many = (
            f"all {site.devices} devices" if site.silent >= site.devices else f"{site.silent} of {site.devices} devices"
        )
        said.append(
            f"{site.name} went quiet {duration(now_ms - site.since_ms)} ago, {many} at once, so it is one alert."
        )
    return " ".join(said) or "Nothing to do. New alerts appear here by themselves."
