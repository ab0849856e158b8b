"""Talks to an account of AWS: clients, and what an error of AWS means and asks for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...exceptions import AccessError, ConfigError, ConflictError, FaultwatchError, StorageError

TRIES = 5
SIGN_IN = "sign in again (aws sso login, or new AWS_* variables) and repeat"
_OVER = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
}
_REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "503",
}
_QUOTA = {"ResourceLimitExceeded", "LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"}
_TAKEN = {"ConflictException", "ResourceInUse", "BucketAlreadyExists", "BucketAlreadyOwnedByYou"}
_ABSENT = {"ResourceNotFound", "ResourceNotFoundException", "NoSuchBucket", "NoSuchKey", "404", "NotFound"}


class Account:
    """Clients of one account, each made once; a context, which closes them."""

    def __init__(self, region: str | None = None) -> None:
        self._region = region
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> "Account":
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    def client(self, service: str) -> Any:
        """The client of a service. Raises ConfigError without boto3, a region or a known profile."""
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def _make(self, service: str) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ConfigError("this needs boto3: pip install 'faultwatch[aws]'") from error
        with asking(f"a client of {service}"):
            config = Config(retries={"mode": "standard", "total_max_attempts": TRIES})
            # One session for each account: boto3's own, of the whole process, would keep who was signed in before.
            self._session = self._session or boto3.Session(region_name=self._region)
            return self._session.client(service, config=config)

    def number(self) -> str:
        """The number of the account that is signed in to."""
        with asking("who is signed in (sts:GetCallerIdentity)"):
            return str(self.client("sts").get_caller_identity()["Account"])

    def must_be(self, expected: str) -> None:
        """Raise AccessError where another account is signed in to than the one that everything is in."""
        found = self.number()
        if found != expected:
            raise AccessError(
                f"you are signed in to account {found}; expected {expected}, where the environment is: set AWS_PROFILE"
                " to a profile of that account"
            )

    def must_own(self, bucket: str, owner: str) -> None:
        """Raise AccessError where a bucket is another account's, ConfigError where there is none of its name."""
        with asking(f"bucket {bucket} of account {owner}"):
            self.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)


@contextmanager
def or_undone(what: str, undo: Callable[[], object]) -> Iterator[None]:
    """Where what is done inside fails, delete what was made for it; it stands around `asking`.

    Raises StorageError where that fails as well, which says what is left.
    """
    try:
        yield
    except BaseException as error:
        try:
            undo()
        except Exception as also:
            raise StorageError(f"{error}. {what} was made for it and can't be deleted ({also}): delete it") from error
        raise


@contextmanager
def asking(what: str) -> Iterator[None]:
    """What is asked of AWS inside, as people would say it: its errors become errors that say what to do."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise ConfigError("this needs boto3: pip install 'faultwatch[aws]'") from error
    try:
        yield
    except ClientError as error:
        raise _explained(what, error.response.get("Error", {})) from error
    except BotoCoreError as error:
        raise _unasked(what, error) from error


def _unasked(what: str, error: Exception) -> FaultwatchError:
    """The error of a request that never got an answer."""
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return AccessError(f"{what}: nobody is signed in to AWS ({error}); aws sso login, or set AWS_PROFILE", 401)
    if kind in ("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"):
        return AccessError(f"{what}: your sign-in to AWS is over ({error}); {SIGN_IN}", 401)
    if kind in ("NoRegionError", "InvalidRegionError"):
        return ConfigError(f"{what}: no region, or none of that name; set AWS_REGION or --region, such as eu-central-1")
    if kind == "ProfileNotFound":
        return ConfigError(f"{what}: {error}; `aws configure list-profiles` lists those you have")
    if kind == "ParamValidationError":
        return ConfigError(f"{what}: {error}")
    return StorageError(f"{what}: AWS can't be reached ({error}); look at the network and the region, then repeat")


def _explained(what: str, told: dict[str, str]) -> FaultwatchError:
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    said = f"{what}: AWS said {code} ({message})"
    kinds: list[tuple[set[str], Callable[[], FaultwatchError]]] = [
        (_OVER, lambda: AccessError(f"{said}: your sign-in is over; {SIGN_IN}", 401)),
        (_UNKNOWN, lambda: AccessError(f"{said}: AWS doesn't know this key; {SIGN_IN}", 401)),
        (_REFUSED, lambda: AccessError(f"{said}: it is another account's, or your role lacks the right; {_RIGHT}")),
        (_THROTTLED, lambda: StorageError(f"{said}, {TRIES} times: too many requests; wait a minute and repeat")),
        (_QUOTA, lambda: StorageError(f"{said}: a quota of the account; ask for more in Service Quotas, then repeat")),
        (_TAKEN, lambda: ConflictError(f"{said}: the name is taken, or it is in use; name another, or wait")),
        (
            _ABSENT,
            lambda: ConfigError(f"{said}: there is none of that name; apply infrastructure/ first, or name another"),
        ),
    ]
    return next((make() for codes, make in kinds if code in codes), ConfigError(said))


_RIGHT = "set AWS_PROFILE to the account of the environment, or have the right added"
