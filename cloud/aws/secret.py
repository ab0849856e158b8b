"""Signs in to the fleet database with what Secrets Manager keeps, so that no job's definition shows a password."""

import os

import msgspec

from ...exceptions import ConfigError
from ...settings import Settings
from .account import Account, asking


class Login(msgspec.Struct, frozen=True):
    """What RDS keeps in the secret of a database that it manages."""

    username: str
    password: str


def sign_in(settings: Settings) -> None:
    """Give libpq user and password of the secret that the settings name, by PGUSER and PGPASSWORD of this process.

    Does nothing where they name none. Raises ConfigError where the secret holds something else, and what
    `account.asking` raises.
    """
    if settings.database_secret is None:
        return
    with Account() as account, asking(f"secret {settings.database_secret}"):
        found = account.client("secretsmanager").get_secret_value(SecretId=settings.database_secret)
    try:
        login = msgspec.json.decode(found.get("SecretString", ""), type=Login)
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"secret {settings.database_secret}: expected `username` and `password` as JSON, as RDS writes it ({error})"
        ) from error
    os.environ.update(PGUSER=login.username, PGPASSWORD=login.password)
