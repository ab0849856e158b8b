"""Collects the faults whose kind people told, and tells of each in features, as it went on, from the lake."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import structlog

from ...exceptions import ModelError
from ...faults import persistence
from ...faults.episodes import FEATURES, LEAST_ROWS, Told, tell_at
from ...faults.kinds import LabelledEpisodes, learnable
from ..artifact import Artifact, Detail, flat, make
from ..workplace import FAULT_KINDS, Label, Workplace
from .reading import WEEK_MS, read_episode, rows_after

log = structlog.get_logger(__name__)

COMPONENT = "fault_episodes"
FILES = "episodes"
NO_KIND = ("other", "unknown")
"""What people choose who don't tell a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodesConfig:
    """The newest `most_faults` are taken. Each is told of when it had gone on for so many of `minutes`, and at its
    end: while it goes on, a kind is to be named by what has come so far."""

    most_faults: int = 1000
    minutes: tuple[int, ...] = (60, 240, 1440)


@dataclass(frozen=True, slots=True)
class _Fault:
    type_id: int
    label: Label
    others: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True, slots=True)
class Episodes:
    """Labelled episodes, and whether each row tells of its fault at its end, bool (n,)."""

    labelled: LabelledEpisodes
    whole: np.ndarray


def run(
    config: EpisodesConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Tell of the faults that have a kind, of devices of all types; needs no inputs.

    The artifact holds features, not readings. Raises ModelError on too few faults with a kind, before any reading is
    read; faults with too few readings are left out and counted.
    """
    faults = _faults(place, now_ms)[: config.most_faults]
    device = np.array([fault.label.device_key for fault in faults], np.int64)
    learnable(device, [fault.label.kind for fault in faults], np.arange(len(faults)))
    rows: list[tuple[int, int, str, bool, Told]] = []
    refused: list[str] = []
    for number, fault in enumerate(faults):
        try:
            rows += [
                (number, fault.label.device_key, fault.label.kind, whole, told)
                for whole, told in _told(config, place, fault, now_ms)
            ]
        except ModelError as error:
            refused.append(str(error))
        place.progress((number + 1) / len(faults))
    if not rows:
        raise ModelError(f"none of {len(faults)} faults with a kind has readings to tell it by: {refused[0]}")

    def write(folder: Path) -> Mapping[str, Detail]:
        numbers, devices, kinds, whole, told = zip(*rows, strict=True)
        arrays = {
            "fault": np.array(numbers, np.int64),
            "device": np.array(devices, np.int64),
            "whole": np.array(whole, np.bool_),
            "features": np.array([one.features for one in told]),
        }
        head = {"kind": "episodes of faults", "kinds": kinds, "features": FEATURES}
        persistence.save(folder, FILES, persistence.Stored(head, arrays, {}))
        return {"faults": len(set(numbers)), "devices": len(set(devices)), "rows": len(rows), "left_out": len(refused)}

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=FAULT_KINDS,
        inputs=inputs,
        config=flat(asdict(config)),
        now_ms=now_ms,
        write=write,
    )
    log.info("fault_episodes.told", faults=len(faults), left_out=len(refused), why=sorted(set(refused))[:3])
    return made


def read_episodes(artifact: Artifact) -> Episodes:
    """What an artifact of this component holds. Raises ModelError where it is damaged or of other features."""
    stored = persistence.load(artifact.path, FILES)
    try:
        kinds = msgspec.convert(stored.head["kinds"], list[str])
        features = msgspec.convert(stored.head["features"], tuple[str, ...])
        if features != FEATURES:
            raise ModelError(f"the episodes in {artifact.path} look at other features than this version; train again")
        arrays = stored.arrays
        labelled = LabelledEpisodes(arrays["device"], arrays["features"], kinds, arrays["fault"])
        return Episodes(labelled, arrays["whole"])
    except (msgspec.ValidationError, KeyError, ValueError) as error:
        raise ModelError(f"the episodes in {artifact.path} are damaged ({error}); train again") from error


def _faults(place: Workplace, now_ms: int) -> list[_Fault]:
    """Faults with a kind, the newest first."""
    found = []
    for type_id in place.type_ids():
        by_device: dict[int, list[Label]] = {}
        for label in place.labels(list(place.device_ids(type_id))):
            by_device.setdefault(label.device_key, []).append(label)
        for labels in by_device.values():
            for label in labels:
                others = tuple((one.start_ms, one.end_ms) for one in labels if one is not label)
                if label.kind not in NO_KIND and label.start_ms < now_ms:
                    found.append(_Fault(type_id, label, others))
    return sorted(found, key=lambda fault: (-fault.label.start_ms, fault.label.device_key))


def _told(config: EpisodesConfig, place: Workplace, fault: _Fault, now_ms: int) -> Iterator[tuple[bool, Told]]:
    """What was told of a fault as it went on, and, last, of all of it."""
    label = fault.label
    end_ms = min(now_ms if label.end_ms is None else label.end_ms, label.start_ms + WEEK_MS)
    device_type = place.device_type(fault.type_id)
    episode = read_episode(
        place.lake, fault.type_id, device_type, label.device_key, label.start_ms, end_ms, fault.others
    )
    last = len(episode.ts)
    ends = sorted({end for end in rows_after(episode, config.minutes) if episode.begin + LEAST_ROWS <= end < last})
    for number, told in enumerate(tell_at(episode, [*ends, last])):
        yield number == len(ends), told
