"""The words of the alert engine as numbers: kinds, states, severities, conditions, marks, causes."""

from enum import IntEnum, IntFlag


class Kind(IntEnum):
    """What an alert is about.

    `rule` of an alert is the sensor's number for `SENSOR`, the id of the owner's rule for `THRESHOLD`, else -1.
    """

    ANOMALY = 0
    SENSOR = 1
    SILENT = 2
    SITE = 3
    THRESHOLD = 4


class State(IntEnum):
    """Where an alert stands; a pending one that comes to nothing goes back to inactive."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2
    RESOLVED = 3


class Severity(IntEnum):
    """How bad it is, from mild to worst."""

    INFO = 0
    WARNING = 1
    CRITICAL = 2


class Condition(IntEnum):
    """What is wrong with the sensor of a `Kind.SENSOR` alert."""

    NONE = 0
    MISSING = 1
    STUCK = 2
    OUT_OF_RANGE = 3


class Mark(IntFlag):
    """What else is true of an alert.

    HISTORIC: it opened in backfilled rows and no live one bore it out, so nobody was told. FLAPPING: it came too
    often within an hour. MAINTENANCE: the device is in maintenance. CONFIRMED: an operator said it is true.
    OVER_BUDGET: opened as info because the owner's budget of the day was used up. HELD: it would fire, were it not
    for the hourly cap or maintenance. REPEAT: the device's last alert of this kind ended less than a day before.
    """

    HISTORIC = 1
    FLAPPING = 2
    MAINTENANCE = 4
    CONFIRMED = 8
    OVER_BUDGET = 16
    HELD = 32
    REPEAT = 64


class Cause(IntEnum):
    """Why a transition happened.

    READING: a row. TIME: a due time passed. DISMISSED, REPAIRED, CONFIRMED, NEW_NORMAL: an operator's word.
    SITE: the site's alert took a device's silent alert over, or gave it back. CAP: held back by the hourly cap.
    MAINTENANCE: held back, marked or unmarked. SEVERITY: it got worse. COUNT: more devices of the site fell silent.
    RULE: the owner's rule was changed or removed. LIVE: a live reading bears out what opened in backfilled rows.
    """

    READING = 0
    TIME = 1
    DISMISSED = 2
    REPAIRED = 3
    CONFIRMED = 4
    NEW_NORMAL = 5
    SITE = 6
    CAP = 7
    MAINTENANCE = 8
    SEVERITY = 9
    COUNT = 10
    RULE = 11
    LIVE = 12


class WordKind(IntEnum):
    """What an operator said; the names in lower case are `telemetry.records.Word.kind`."""

    DISMISS = 0
    REPAIRED = 1
    CONFIRM = 2
    NEW_NORMAL = 3
    MAINTENANCE = 4
    MAINTENANCE_END = 5
    NOT_FAULTY = 6
