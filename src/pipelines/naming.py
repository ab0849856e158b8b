"""Names the kind of fault of open alerts, by their readings so far, with the model of kinds that serves.

Outside of the scoring loop, from the lake: a kind that comes a minute later is as good. Work is bounded: so many alerts
a time, those never looked at first, and an alert that goes on is looked at ever less often.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import structlog

from ..components.fault_kinds.reading import read_episode, sensors_of
from ..components.workplace import EVERY_TYPE, Label, Workplace
from ..exceptions import ModelError
from ..faults import signs
from ..faults.episodes import Episode, tell
from ..faults.kinds import KindModel
from ..fleet import likely_kinds
from ..fleet.database import reading, writing
from ..fleet.likely_kinds import Due, Found, Likely

log = structlog.get_logger(__name__)

MOST_ALERTS = 20
MOST_S = 30.0
"""After so long no other alert is begun with; the next time goes on."""

SOONEST_MS = 10 * 60_000
LATEST_MS = 86_400_000
AGAIN_SHARE = 0.5
"""An alert is looked at again after this share of the time that it has lasted."""

SHOWN = 3


def name_due(
    place: Workplace, now_ms: int, *, most: int = MOST_ALERTS, clock: Callable[[], float] = time.monotonic
) -> int:
    """Look at the alerts that are due and write down what kind each is taken for; return how many.

    Nothing happens where no model of kinds serves. Raises ModelError where the one that serves can't be read.
    """
    champion = place.kind_champion()
    if champion is None:
        return 0
    with reading(place.engine) as session:
        waiting = likely_kinds.due(session, champion.version, now_ms, most)
        before = likely_kinds.of_alerts(session, [alert.alert_id for alert in waiting])
    if not waiting:
        return 0
    model = KindModel.load(place.models(EVERY_TYPE) / champion.folder)
    reported = _by_device(place.labels([alert.device_key for alert in waiting]))
    until, done = clock() + MOST_S, 0
    for alert in waiting:
        if clock() > until:
            break
        found = look(place, alert, model, champion.version, reported.get(alert.device_key, ()), now_ms)
        with writing(place.engine) as session:
            news = said(before.get(alert.alert_id)) != said(found)
            likely_kinds.keep(session, found, alert.owner_id, news=news)
        done += 1
    log.info("kinds.named", alerts=done, waiting=len(waiting) - done, version=champion.version)
    return done


def look(place: Workplace, alert: Due, model: KindModel, version: int, reported: Iterable[Label], now_ms: int) -> Found:
    """What kind of fault an alert is, by its readings so far; with `why_not` where they are too few to tell."""
    device_type = place.device_type(alert.type_id)
    end_ms = now_ms if alert.resolved_ms is None else alert.resolved_ms
    lasted_ms = max(0, end_ms - alert.onset_ms)
    wait_ms = min(LATEST_MS, max(SOONEST_MS, round(AGAIN_SHARE * lasted_ms)))
    found = Found(
        alert_id=alert.alert_id,
        at_ms=now_ms,
        until_ms=end_ms,
        next_ms=None if alert.resolved_ms is not None else now_ms + wait_ms,
        model_version=version,
    )
    faulty = [(label.start_ms, label.end_ms) for label in reported if label.start_ms < alert.onset_ms]
    try:
        episode = read_episode(
            place.lake, alert.type_id, device_type, alert.device_key, alert.onset_ms, end_ms + 1, faulty
        )
    except ModelError as error:
        return msgspec.structs.replace(found, why_not=str(error))
    labels = [sensor.title for sensor in sensors_of(device_type)]
    kinds, why = _named(model, episode, labels)
    return msgspec.structs.replace(found, until_ms=int(episode.ts[-1]), kinds=kinds, signs=why)


def said(found: Found | None) -> tuple[str, int] | None:
    """The kind that is named and its per cent; None where none is likely enough."""
    if found is None or not found.is_said:
        return None
    return found.kinds[0].kind, round(100 * found.kinds[0].probability)


def _named(model: KindModel, episode: Episode, labels: Sequence[str]) -> tuple[tuple[Likely, ...], tuple[str, ...]]:
    """The likeliest kinds, and what speaks for the first of them."""
    told = tell(episode)
    features = told.features[None, :]
    probability = model.probability(features)[0]
    order = np.argsort(-probability, kind="stable")[:SHOWN].tolist()
    why = signs.words(told.features, model.explain(features)[0, order[0]], [labels[place] for place in told.ranked])
    return tuple(Likely(model.kinds[k], round(float(probability[k]), 4)) for k in order), tuple(why)


def _by_device(labels: Iterable[Label]) -> Mapping[int, list[Label]]:
    found: dict[int, list[Label]] = {}
    for label in labels:
        found.setdefault(label.device_key, []).append(label)
    return found
