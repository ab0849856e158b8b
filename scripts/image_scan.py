"""Fail where the registry found something critical in an image: `python -m scripts.image_scan REPOSITORY@DIGEST`.

Lines of .github/accepted-vulnerabilities, each `CVE-… until YYYY-MM-DD: why`, are let through until their day.
"""

import argparse
import datetime
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ACCEPTED = Path(__file__).parents[1] / ".github" / "accepted-vulnerabilities"
SERIOUS = ("CRITICAL",)
IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.[\w.]+/(?P<repository>.+)@(?P<digest>sha256:\w+)"
)
WAITING = ("IN_PROGRESS", "PENDING")


class ScanMissing(Exception):
    """The registry has no findings to judge by."""


def accepted(text: str, today: datetime.date) -> frozenset[str]:
    """Names that are let through today. Raises ValueError on a line that isn't understood."""
    names = set()
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"(CVE-\d+-\d+) until (\d{4}-\d{2}-\d{2}): \S.*", line)
        if found is None:
            raise ValueError(f"{ACCEPTED.name}: {line!r}; expected `CVE-YEAR-NUMBER until YYYY-MM-DD: why`")
        if datetime.date.fromisoformat(found[2]) >= today:
            names.add(found[1])
    return frozenset(names)


def findings(image: Mapping[str, str], within_s: float) -> dict[str, str]:
    """Severity of each finding by its name. Raises ScanMissing where there is no complete scan within the time."""
    ecr = boto3.client("ecr", region_name=image["region"])
    asked = {"repositoryName": image["repository"], "imageId": {"imageDigest": image["digest"]}}
    deadline = time.monotonic() + within_s
    while True:
        answer = _answer(ecr, asked)
        status = answer["imageScanStatus"]["status"] if answer else "PENDING"
        if status not in WAITING:
            break
        if time.monotonic() > deadline:
            raise ScanMissing(f"no scan of {image['repository']} within {within_s:g} s; is scanning on push turned on?")
        time.sleep(5)
    if answer is None or status != "COMPLETE":
        raise ScanMissing(f"the scan ended as {status}; expected COMPLETE: see the image's page in the registry")
    found: dict[str, str] = {}
    while answer is not None:
        found |= {one["name"]: one["severity"] for one in answer["imageScanFindings"].get("findings", [])}
        token = answer.get("nextToken")
        answer = ecr.describe_image_scan_findings(**asked, nextToken=token) if token else None
    return found


def _answer(ecr: Any, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the registry says; None where it has no scan yet."""
    try:
        answer: dict[str, Any] = ecr.describe_image_scan_findings(**asked)
    except ecr.exceptions.ScanNotFoundException:
        return None
    return answer


def main() -> int:
    """Judge an image; the exit code: 0 nothing serious, 1 something, 2 not known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST")
    parser.add_argument("--within", type=float, default=600, metavar="SECONDS", help="how long to wait for the scan")
    given = parser.parse_args()
    image = IMAGE.fullmatch(given.image)
    if image is None:
        print(f"{given.image!r} is not an image of ECR by its digest; expected {parser.format_usage().split()[-1]}")
        return 2
    try:
        found = findings(image.groupdict(), given.within)
        let_through = accepted(ACCEPTED.read_text(encoding="utf-8"), datetime.datetime.now(datetime.UTC).date())
    except (ScanMissing, ClientError, BotoCoreError, ValueError) as error:
        print(f"not judged: {error}")
        return 2
    serious = sorted(name for name, severity in found.items() if severity in SERIOUS and name not in let_through)
    print(f"{len(found)} findings, {len(serious)} of them {' or '.join(SERIOUS)} and not accepted")
    for name in serious:
        print(f"  {name}: update the base or the package; or accept it until a day in {ACCEPTED.name}, with the reason")
    return 1 if serious else 0


if __name__ == "__main__":
    sys.exit(main())
