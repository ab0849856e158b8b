"""Who asks the database again and again first asks whether anything changed."""

from ...fleet import owners
from ...fleet.changes import LOOK_S, Changes
from ...fleet.database import connect, migrate, reading, writing


def test_what_anybody_commits_is_a_change_and_reading_is_none(database_url: str) -> None:
    now_s = [0.0]
    engine = connect(database_url)
    migrate(engine)
    always = engine.dialect.name != "sqlite"
    with Changes(engine, lambda: now_s[0]) as changes:
        assert changes.any()
        assert changes.any() == always
        with reading(engine) as session:
            assert owners.all_owners(session) == []
        assert changes.any() == always
        with writing(engine) as session:
            owners.add(session, "Waterworks", 0)
        assert changes.any()
        assert changes.any() == always
        other = connect(database_url)
        with writing(other) as session:
            owners.add(session, "Dairy", 0)
        other.dispose()
        assert changes.any()
        now_s[0] = LOOK_S
        assert changes.any(), "a look once in a while, whatever the database says"
        assert changes.any() == always
    engine.dispose()


def test_where_the_database_cannot_be_had_it_may_have_changed(tmp_path: object) -> None:
    engine = connect(f"sqlite:///{tmp_path}/missing/fleet.sqlite")
    with Changes(engine) as changes:
        assert changes.any()
        assert changes.any()
    engine.dispose()
