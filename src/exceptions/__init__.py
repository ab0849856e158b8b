"""The errors faultwatch raises: one root, one class per thing that can go wrong.

A message says what was received, what was expected and what to do. At the command line a
`FaultwatchError` is one line and exit code 2; at the API it is problem+json with `status`.
"""


class FaultwatchError(Exception):
    """Anything faultwatch raises on purpose; every other exception is a bug."""

    status = 500
    """The HTTP status the API answers with."""


class ConfigError(FaultwatchError):
    """A setting, a device type or a command-line argument that can't be used."""

    status = 422


class IngestError(FaultwatchError):
    """A request or a file of readings that can't be taken as a whole."""

    status = 400


class DataValidationError(FaultwatchError):
    """Data that breaks its schema where a whole data set was expected to keep it."""

    status = 422


class ModelError(FaultwatchError):
    """A model that can't be trained, read or served."""


class OldFormatError(ModelError):
    """What an earlier version of faultwatch learnt, in a form that this one doesn't read."""


class StorageError(FaultwatchError):
    """The log, the lake, a checkpoint or the database can't be read or written."""

    status = 503


class NotificationError(FaultwatchError):
    """A notification that a channel did not take."""


class AccessError(FaultwatchError):
    """Who asks is unknown (401), or may not (403), or must not learn that it exists (404)."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class ConflictError(FaultwatchError):
    """Something that can't be done to its subject as it stands: it is over, or there are several of that name."""

    status = 409
