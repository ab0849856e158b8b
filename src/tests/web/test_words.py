"""Words and figures as people read them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ...exceptions import IngestError
from ...web import lead
from ...web.ranges import choose_format, parse_range, parse_resolution, parse_time
from ...web.render import local
from ...web.words import Reader, duration, listed, plural

NOW = int(datetime(2026, 11, 24, 16, 5, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12, "12 s"),
        (48 * 60, "48 min"),
        (11_520, "3 h 12 min"),
        (7200, "2 h"),
        (187_200, "2 d 4 h"),
        (214_344_000, "2,480 d"),
        (-5, "0 s"),
    ],
)
def test_lengths_of_time(seconds: int, words: str) -> None:
    assert duration(seconds * 1000) == words


def test_times_in_the_readers_zone_and_clock() -> None:
    reader = Reader(ZoneInfo("Europe/Amsterdam"), False, NOW)
    american = Reader(ZoneInfo("America/New_York"), True, NOW)
    assert reader.text(NOW - 63 * MINUTE) == "16:02"
    assert american.text(NOW - 63 * MINUTE) == "10:02 am"
    assert reader.text(NOW - 30 * 24 * 60 * MINUTE) == "25 Oct, 17:05"
    assert reader.text(NOW - 30 * 24 * 60 * MINUTE, "brief") == "25 Oct"
    assert reader.text(NOW - 400 * 24 * 60 * MINUTE, "day") == "20 Oct 2025"
    assert reader.exact(NOW) == "Tue 24 Nov 2026, 17:05:00 CET"


def test_cookies_nobody_can_trust_give_utc() -> None:
    for zone in ("../../etc/passwd", "Mars/Base", "", "%00"):
        assert Reader.of({"fw_zone": zone}, NOW).clock(NOW) == "16:05"
    assert Reader.of({"fw_zone": "Europe%2FBerlin", "fw_clock": "12"}, NOW).clock(NOW) == "5:05 pm"


def counts(**some: int) -> dict[str, int]:
    """Counts of every status."""
    return dict.fromkeys(("healthy", "suspect", "faulty", "silent", "learning", "maintenance"), 0) | some


@pytest.mark.parametrize(
    ("found", "devices", "sites", "words"),
    [
        (counts(healthy=188, suspect=3), 3, 1, "3 devices and 1 site need you now."),
        (counts(healthy=199, faulty=1), 1, 0, "1 device needs you now."),
        (counts(healthy=192, silent=8), 0, 1, "1 site needs you now."),
        (counts(healthy=200), 0, 0, "All 200 devices are healthy."),
        (counts(healthy=1), 0, 0, "The device is healthy."),
        (counts(learning=5), 0, 0, "5 devices are learning what is normal."),
        (counts(healthy=5, learning=5), 0, 0, "Nothing needs you now."),
        (counts(healthy=5, faulty=1), 0, 0, "Nothing new needs you now."),
    ],
)
def test_the_first_line(found: dict[str, int], devices: int, sites: int, words: str) -> None:
    assert lead.headline(found, devices, sites) == words


def test_the_second_line_tells_of_whole_sites() -> None:
    news = [lead.SiteNews("Cold Store 2", NOW - 6 * MINUTE, 8, 8)]
    assert lead.under(counts(healthy=188, silent=8, suspect=4), news, NOW) == (
        "188 of 200 are healthy. Cold Store 2 went quiet 6 min ago, all 8 devices at once, so it is one alert."
    )


def test_small_words() -> None:
    assert plural(1, "device") == "1 device" and plural(12_480, "device") == "12,480 devices"
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"


def test_ranges() -> None:
    span = parse_range("2026-11-24T00:00:00Z", "2026-11-24T01:00:00+01:00".replace("01:00:00", "02:00:00"), NOW)
    assert span.end_ms - span.start_ms == 60 * MINUTE
    assert parse_range(None, None, NOW).end_ms == NOW + 1
    assert parse_time("from", "2026-11-24T16:05:00Z") == NOW
    assert parse_resolution("raw") is None and parse_resolution("auto") == 1000 and parse_resolution("400") == 400
    for text in ("9", "99999", "-5", "²"):
        with pytest.raises(IngestError, match="number of points from 10"):
            parse_resolution(text)
    with pytest.raises(IngestError, match="is not before"):
        parse_range("2027-01-01T00:00:00Z", None, NOW)


def test_formats_by_name_and_by_accept() -> None:
    assert choose_format(None, "text/html, text/csv;q=0.8") == "csv"
    assert choose_format("arrow", "text/csv") == "arrow"
    assert choose_format(None, "*/*") == "json"


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil", "", "javascript:x", "/a\n"])
def test_only_addresses_of_this_site_are_gone_on_to(address: str) -> None:
    assert local(address) == "/"
    assert local("/alerts?tab=open") == "/alerts?tab=open"
