"""What a site shares: the sun goes by latitude and season, people by the local clock, and neighbours differ."""

from datetime import UTC, datetime

import numpy as np

from ...simulator import weather
from ...simulator.randomness import Floats
from ...simulator.sites import Site, plan_sites

MINUTE_MS = 60_000


def minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def channels(site: Site, first: datetime, count: int) -> Floats:
    return weather.channels(1, [site], np.array([0]), minute(first), count, MINUTE_MS)[0, :, weather.LEAD :]


LONDON = Site(id="a", name="A", time_zone="Europe/London", latitude=51.5, longitude=0.0)


def test_the_sun_is_highest_at_noon_and_higher_in_summer() -> None:
    june = channels(LONDON, datetime(2026, 6, 21, tzinfo=UTC), 1440)[weather.SUN]
    december = channels(LONDON, datetime(2026, 12, 21, tzinfo=UTC), 1440)[weather.SUN]
    assert abs(int(june.argmax()) - 720) < 5
    assert june[0] == 0 and december[0] == 0
    assert abs(np.degrees(np.arcsin(june.max())) - 61.9) < 0.5
    assert abs(np.degrees(np.arcsin(december.max())) - 15.1) < 0.5
    assert 16 * 60 < (june > 0).sum() < 17 * 60


def test_people_follow_the_local_clock_through_the_change_to_summer_time() -> None:
    winter = channels(LONDON, datetime(2026, 3, 27, tzinfo=UTC), 1440)[weather.DEMAND]
    summer = channels(LONDON, datetime(2026, 4, 3, tzinfo=UTC), 1440)[weather.DEMAND]
    assert int(winter[:720].argmax()) - int(summer[:720].argmax()) == 60


def test_weekends_differ_from_working_days() -> None:
    week = channels(LONDON, datetime(2026, 11, 2, tzinfo=UTC), 7 * 1440).reshape(-1, 7, 1440)
    busy = week[weather.BUSINESS].max(axis=1)
    assert busy[6] < 0.5 * busy[0] < busy[5]
    peaks = week[weather.DEMAND][:, :720].argmax(axis=1)
    assert peaks[5] > peaks[0] + 120


def test_weather_changes_slowly_by_season_and_by_day() -> None:
    july = channels(LONDON, datetime(2026, 7, 1, tzinfo=UTC), 20 * 1440)[weather.TEMPERATURE]
    january = channels(LONDON, datetime(2026, 1, 1, tzinfo=UTC), 20 * 1440)[weather.TEMPERATURE]
    assert 10 < july.mean() - january.mean() < 25
    by_hour = july.reshape(20, 24, 60).mean(axis=(0, 2))
    assert 13 <= by_hour.argmax() <= 16
    assert np.abs(np.diff(july)).max() < 0.1


def test_clouds_cover_all_there_is_and_mains_stay_close() -> None:
    month = channels(LONDON, datetime(2026, 5, 1, tzinfo=UTC), 30 * 1440)
    cloud = month[weather.CLOUD]
    assert cloud.min() < 0.1 and cloud.max() > 0.9 and (cloud >= 0).all() and (cloud <= 1).all()
    assert 0.01 < month[weather.GRID_FREQUENCY].std() < 0.03


def test_neighbours_have_other_weather_and_the_same_mains_frequency() -> None:
    sites = plan_sites(3)
    both = weather.channels(1, sites, np.arange(3), minute(datetime(2026, 5, 1, tzinfo=UTC)), 5000, MINUTE_MS)
    assert abs(np.corrcoef(both[0, weather.CLOUD], both[1, weather.CLOUD])[0, 1]) < 0.6
    assert (both[0, weather.GRID_FREQUENCY] == both[1, weather.GRID_FREQUENCY]).all()


def test_sites_have_distinct_ids_and_places_however_many() -> None:
    sites = plan_sites(500)
    assert len({site.id for site in sites}) == len({(site.latitude, site.longitude) for site in sites}) == 500
    assert sites[:10] == plan_sites(10)
    assert sites[0].name == "Harbour East" and sites[0].id == "harbour-east"
