"""Tokens: shown once, kept as hashes, for one scope, revoked within seconds."""

import pytest
from sqlalchemy import Engine, select

from ...exceptions import AccessError
from ...fleet import database, models, tokens
from ...fleet.tokens import TokenInfo, Tokens
from .conftest import NOW_MS, Fleet


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s

    def now_ms(self) -> int:
        return NOW_MS + round(self.s * 1000)


def make(engine: Engine, fleet: Fleet, **more: object) -> str:
    with database.writing(engine) as session:
        return tokens.create(session, fleet.north, "gateway", NOW_MS, **more)  # type: ignore[arg-type]


def test_a_token_is_known_by_its_hash_only(engine: Engine, fleet: Fleet) -> None:
    token = make(engine, fleet)
    assert token.startswith("fw_") and len(token) > 40
    with database.reading(engine) as session:
        row = session.scalars(select(models.Token)).one()
        assert token not in (row.hash, row.prefix) and token.startswith(row.prefix)
    assert Tokens(engine).authenticate(token) == TokenInfo(row.id, fleet.north, True, None)


@pytest.mark.parametrize("guess", ["", "fw_", "fw_guess", "Bearer", "fw_\0", "ü"])
def test_anything_else_is_unknown(engine: Engine, fleet: Fleet, guess: str) -> None:
    make(engine, fleet)
    assert Tokens(engine).authenticate(guess) is None


def test_a_token_is_for_one_scope(engine: Engine, fleet: Fleet) -> None:
    reads, writes = make(engine, fleet, scope="read"), make(engine, fleet)
    known = Tokens(engine)
    assert known.authenticate(reads) is None
    assert known.authenticate(writes, "read") is None
    info = known.authenticate(reads, "read")
    assert info is not None and not info.may_register


def test_a_token_for_some_devices_registers_none(engine: Engine, fleet: Fleet) -> None:
    info = Tokens(engine).authenticate(make(engine, fleet, device_ids=["a", "b", "a"]))
    assert info is not None and info.device_ids == frozenset({"a", "b"}) and not info.may_register


def test_a_revoked_token_ends_within_seconds(engine: Engine, fleet: Fleet) -> None:
    token, clock = make(engine, fleet), Clock()
    known = Tokens(engine, clock, clock.now_ms)
    info = known.authenticate(token)
    assert info is not None
    with database.writing(engine) as session:
        tokens.revoke(session, info.token_id, NOW_MS)
        tokens.revoke(session, info.token_id, NOW_MS + 1)
    clock.s += tokens.REMEMBERED_S
    assert known.authenticate(token) is None
    with database.reading(engine) as session:
        assert tokens.all_tokens(session)[0].revoked_ms == NOW_MS
    with pytest.raises(AccessError, match="no token has the id 99"), database.writing(engine) as session:
        tokens.revoke(session, 99, NOW_MS)


def test_its_last_use_is_written_once_a_minute(engine: Engine, fleet: Fleet) -> None:
    token, clock = make(engine, fleet), Clock()
    known = Tokens(engine, clock, clock.now_ms)

    def last_used() -> int | None:
        with database.reading(engine) as session:
            return tokens.all_tokens(session, fleet.north)[0].last_used_ms

    assert last_used() is None
    known.authenticate(token)
    first = last_used()
    clock.s += 30
    known.authenticate(token)
    assert last_used() == first == NOW_MS + 100_000
    clock.s += 30
    known.authenticate(token)
    assert last_used() == NOW_MS + 160_000


def test_lists_are_by_owner(engine: Engine, fleet: Fleet) -> None:
    make(engine, fleet)
    with database.reading(engine) as session:
        assert [entry.name for entry in tokens.all_tokens(session)] == ["gateway"]
        assert tokens.all_tokens(session, fleet.south) == []
