"""News for open pages: none is ever missed by a page that asks for all after the last it saw."""

import threading

from sqlalchemy import Engine

from ...fleet import database, events
from .conftest import NOW_MS, Fleet


def news(fleet: Fleet, number: int) -> events.News:
    return events.News(owner_id=(fleet.north, fleet.south)[number % 2], kind="alert", payload={"number": number})


def test_a_page_catches_up_by_id(engine: Engine, fleet: Fleet) -> None:
    for number in range(4):
        with database.writing(engine) as session:
            events.publish(session, [news(fleet, number)], NOW_MS + number)
            events.publish(session, [], NOW_MS)
            assert len(events.after(session, 0)) == number  # they come with the commit
    with database.reading(engine) as session:
        first, *rest = events.after(session, 0)
        assert events.after(session, first.id) == rest
        assert events.after(session, first.id, limit=1) == rest[:1]
        assert [item.payload["number"] for item in events.after(session, 0, owner_id=fleet.south)] == [1, 3]
        assert (events.oldest_id(session), events.last_id(session)) == (first.id, rest[-1].id)
    with database.writing(engine) as session:
        events.forget_before(session, NOW_MS + 3)
    with database.reading(engine) as session:
        assert events.after(session, 0) == rest[-1:] and events.oldest_id(session) == rest[-1].id


def test_nothing_is_told_of_what_was_taken_back(engine: Engine, fleet: Fleet) -> None:
    try:
        with database.writing(engine) as session:
            events.publish(session, [news(fleet, 1)], NOW_MS)
            raise RuntimeError("half way")
    except RuntimeError:
        pass
    with database.reading(engine) as session:
        assert (events.last_id(session), events.oldest_id(session)) == (0, 0)


def test_ids_become_visible_in_their_order(engine: Engine, fleet: Fleet) -> None:
    """Writers overlap while a page polls; the page must end up with every event."""
    stopping, seen = threading.Event(), list[int]()

    def write(start: int) -> None:
        for number in range(start, start + 25):
            with database.writing(engine) as session:
                events.publish(session, [news(fleet, number)], NOW_MS)

    def poll() -> None:
        last = 0
        while True:
            done = stopping.is_set()
            with database.reading(engine) as session:
                for item in events.after(session, last):
                    seen.append(int(str(item.payload["number"])))
                    last = item.id
            if done:
                return

    page = threading.Thread(target=poll)
    writers = [threading.Thread(target=write, args=(start,)) for start in (0, 25, 50)]
    for thread in (page, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stopping.set()
    page.join()
    assert sorted(seen) == list(range(75))
