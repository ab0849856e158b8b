"""Accounts, sign-in, lock-out, sessions, and the set-up link of the first start."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine, func, select

from ...exceptions import AccessError, ConfigError, ConflictError
from ...fleet import database, models, users
from ...fleet.models import Role
from ...fleet.principal import Principal
from .conftest import NOW_MS, Fleet

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash with less work: these tests make many."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(users, "_passwords", lambda: quick)
    users._someone.cache_clear()


@pytest.fixture
def ada(engine: Engine, fleet: Fleet) -> users.UserEntry:
    """Ada of Nordwind."""
    return users.create(engine, " Ada@Example.org ", "Ada", PASSWORD, "owner", fleet.north, NOW_MS)


def test_an_account_is_known_by_its_address_in_any_case(engine: Engine, ada: users.UserEntry) -> None:
    assert ada.email == "ada@example.org"
    signed_in = users.sign_in(engine, "ADA@example.org", PASSWORD, NOW_MS)
    assert signed_in.user == ada
    assert ada.principal == Principal(ada.id, "owner", ada.owner_id, "Ada")
    with pytest.raises(ConflictError, match="already"):
        users.create(engine, "ADA@EXAMPLE.ORG", "", PASSWORD, "admin", None, NOW_MS)
    assert users.all_users(engine) == [ada]


def test_passwords_are_kept_as_argon2(engine: Engine, ada: users.UserEntry) -> None:
    with database.reading(engine) as session:
        hashed = session.scalars(select(models.User.password_hash)).one()
    assert hashed.startswith("$argon2id$") and PASSWORD not in hashed


@pytest.mark.parametrize(
    ("email", "password", "role", "said"),
    [
        ("ada", PASSWORD, "admin", "expected an address such as"),
        ("a@b c", PASSWORD, "admin", "expected an address such as"),
        ("a@b.c", "short", "admin", "has 5 characters; expected 10 to 1000"),
        ("a@b.c", "x" * 1001, "admin", "has 1001 characters"),
        ("a@b.c", PASSWORD, "viewer", "belongs to an owner"),
        ("a@b.c", PASSWORD, "king", "expected one of admin, operator, owner, viewer"),
    ],
)
def test_what_does_not_fit_is_refused(engine: Engine, email: str, password: str, role: Role, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        users.create(engine, email, "", password, role, None, NOW_MS)


@pytest.mark.parametrize("email", ["nobody@example.org", "ada@example.org", "gone@example.org"])
def test_every_refusal_sounds_the_same(engine: Engine, fleet: Fleet, ada: users.UserEntry, email: str) -> None:
    users.create(engine, "gone@example.org", "", PASSWORD, "operator", None, NOW_MS)
    users.set_disabled(engine, "gone@example.org", True)
    password = PASSWORD if email.startswith("gone") else "wrong"
    with pytest.raises(AccessError, match="don't belong together") as caught:
        users.sign_in(engine, email, password, NOW_MS)
    assert caught.value.status == 401


def test_wrong_passwords_lock_the_account_for_longer_and_longer(engine: Engine, ada: users.UserEntry) -> None:
    def attempt(password: str, now_ms: int) -> int:
        try:
            users.sign_in(engine, ada.email, password, now_ms)
        except AccessError as error:
            return error.status
        return 200

    assert [attempt("wrong", NOW_MS) for _ in range(6)] == [401] * 5 + [429]
    assert attempt(PASSWORD, NOW_MS + users.LOCK_MS - 1) == 429
    assert attempt("wrong", NOW_MS + users.LOCK_MS) == 401
    assert attempt(PASSWORD, NOW_MS + 3 * users.LOCK_MS - 1) == 429
    assert attempt(PASSWORD, NOW_MS + 3 * users.LOCK_MS) == 200
    assert [attempt("wrong", NOW_MS + 3 * users.LOCK_MS) for _ in range(4)] == [401] * 4
    assert attempt(PASSWORD, NOW_MS + 3 * users.LOCK_MS) == 200


def test_a_session_lasts_while_it_is_used(engine: Engine, ada: users.UserEntry) -> None:
    hour = 3_600_000
    signed_in = users.sign_in(engine, ada.email, PASSWORD, NOW_MS, hour)
    with database.reading(engine) as session:
        assert signed_in.cookie not in session.scalars(select(models.UserSession.token_hash)).all()
    found = users.session(engine, signed_in.cookie, NOW_MS + hour // 2, hour)
    assert found is not None and found.principal == ada.principal and found.csrf_token == signed_in.csrf_token
    assert users.session(engine, signed_in.cookie, NOW_MS + hour + 1, hour) is not None
    assert users.session(engine, signed_in.cookie, NOW_MS + 3 * hour, hour) is None
    assert users.session(engine, "guess", NOW_MS, hour) is None


def test_signing_out_ends_one_session_and_a_new_password_all(engine: Engine, ada: users.UserEntry) -> None:
    first, second, third = (users.sign_in(engine, ada.email, PASSWORD, NOW_MS).cookie for _ in range(3))
    users.sign_out(engine, first)
    users.sign_out(engine, first)
    assert [users.session(engine, cookie, NOW_MS) is not None for cookie in (first, second)] == [False, True]
    users.set_password(engine, ada.email, "another password")
    assert users.session(engine, second, NOW_MS) is None and users.session(engine, third, NOW_MS) is None
    assert users.sign_in(engine, ada.email, "another password", NOW_MS).user == ada


def test_a_disabled_account_is_out_at_once(engine: Engine, ada: users.UserEntry) -> None:
    cookie = users.sign_in(engine, ada.email, PASSWORD, NOW_MS).cookie
    users.set_disabled(engine, ada.email, True)
    assert users.session(engine, cookie, NOW_MS) is None
    users.set_disabled(engine, ada.email, False)
    assert users.sign_in(engine, ada.email, PASSWORD, NOW_MS).user == ada


def test_expired_sessions_are_deleted_on_the_way(engine: Engine, ada: users.UserEntry) -> None:
    users.sign_in(engine, ada.email, PASSWORD, NOW_MS, 1000)
    users.sign_in(engine, ada.email, PASSWORD, NOW_MS + 1000)
    with database.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(models.UserSession)) == 1


def test_an_unknown_account_says_where_to_look(engine: Engine) -> None:
    with pytest.raises(AccessError, match="`faultwatch users list`"):
        users.set_password(engine, "nobody@example.org", PASSWORD)


def test_the_first_start_makes_one_admin(engine: Engine) -> None:
    earlier = users.make_setup_link(engine, NOW_MS)
    link = users.make_setup_link(engine, NOW_MS)
    assert earlier and link and not users.setup_link_holds(engine, earlier, NOW_MS)
    assert users.setup_link_holds(engine, link, NOW_MS)
    with pytest.raises(ConfigError):
        users.use_setup_link(engine, link, "root@example.org", "Root", "short", NOW_MS)
    admin = users.use_setup_link(engine, link, "root@example.org", "Root", PASSWORD, NOW_MS)
    assert (admin.role, admin.owner_id) == ("admin", None)
    with pytest.raises(AccessError, match="was used or has expired") as caught:
        users.use_setup_link(engine, link, "thief@example.org", "", PASSWORD, NOW_MS)
    assert caught.value.status == 404
    assert users.make_setup_link(engine, NOW_MS) is None


def test_a_setup_link_expires(engine: Engine) -> None:
    link = users.make_setup_link(engine, NOW_MS)
    assert link is not None
    late = NOW_MS + users.SETUP_LINK_MS
    assert not users.setup_link_holds(engine, link, late)
    with pytest.raises(AccessError):
        users.use_setup_link(engine, link, "root@example.org", "", PASSWORD, late)


def test_somebody_can_always_administer(engine: Engine) -> None:
    first = users.create(engine, "a@example.org", "", PASSWORD, "admin", None, NOW_MS)
    with pytest.raises(ConflictError, match="only admin"):
        users.set_disabled(engine, "a@example.org", True)
    second = users.create(engine, "b@example.org", "", PASSWORD, "admin", None, NOW_MS)
    with database.writing(engine) as session:
        users.change_role(session, first.id, "operator", None)
    with pytest.raises(ConflictError, match="only admin"), database.writing(engine) as session:
        users.change_role(session, second.id, "operator", None)
    with pytest.raises(ConflictError, match="only admin"):
        users.set_disabled(engine, "b@example.org", True)
