"""`make scan`: what the registry (moto's) found decides, and nothing found out is not the same as nothing found."""

import datetime
import json
import time
from collections.abc import Sequence
from typing import Any

import boto3
import httpx
import pytest
from scripts.image_scan import IMAGE, accepted

from ..checkout import run
from ..systems import s3

OCI = "application/vnd.oci.image.manifest.v1+json"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def pushed(scanned: bool = True) -> str:
    """An image in a repository of its own, by its digest."""
    name = f"faultwatch-{time.monotonic_ns()}"
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=name)
    manifest = {"schemaVersion": 2, "mediaType": OCI, "config": {"digest": f"sha256:{'1' * 64}"}, "layers": []}
    image = ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag="a")["image"]["imageId"]
    if scanned:
        ecr.start_image_scan(repositoryName=name, imageId={"imageDigest": image["imageDigest"]})
    return f"{REGISTRY}/{name}@{image['imageDigest']}"


def found(server: s3.Bucket, image: str, findings: Sequence[dict[str, str]], status: str = "COMPLETE") -> None:
    """Say what the registry's next look at an image finds."""
    named = IMAGE.fullmatch(image)
    assert named is not None
    result: dict[str, Any] = {
        "imageScanFindings": {"findings": list(findings)},
        "registryId": named["account"],
        "repositoryName": named["repository"],
        "imageId": {"imageDigest": named["digest"]},
        "imageScanStatus": {"status": status},
    }
    answer = httpx.post(
        f"{server.endpoint}/moto-api/static/ecr/scan-finding-results",
        json={"results": [result], "region": named["region"]},
    )
    assert answer.status_code == 201


def scan(image: str) -> tuple[int, str]:
    """Exit code of the verb, and what it said; make's own code for a failure is 2."""
    done = run(["make", "--no-print-directory", "scan", f"IMAGE={image}"])
    return done.returncode, done.stdout + done.stderr


def test_something_critical_fails_and_something_low_does_not(moto_server: s3.Bucket) -> None:
    image = pushed()
    found(
        moto_server, image, [{"name": "CVE-2026-1", "severity": "CRITICAL"}, {"name": "CVE-2026-2", "severity": "LOW"}]
    )
    code, said = scan(image)
    assert code == 2 and "2 findings, 1 of them CRITICAL" in said and "CVE-2026-1: update" in said
    other = pushed()
    found(moto_server, other, [{"name": "CVE-2026-2", "severity": "LOW"}])
    assert scan(other) == (0, "1 findings, 0 of them CRITICAL and not accepted\n")


def test_a_scan_that_failed_is_not_a_clean_one(moto_server: s3.Bucket) -> None:
    image = pushed()
    found(moto_server, image, [], status="FAILED")
    code, said = scan(image)
    assert code == 2 and "not judged: the scan ended as FAILED" in said


def test_an_image_that_is_not_there_or_not_named_by_digest_is_told(moto_server: s3.Bucket) -> None:
    code, said = scan(f"{REGISTRY}/nothing@sha256:{'2' * 64}")
    assert code == 2 and "not judged:" in said and "nothing" in said
    code, said = scan(f"{REGISTRY}/faultwatch:latest")
    assert code == 2 and "is not an image of ECR by its digest" in said


def test_what_was_accepted_is_so_until_its_day() -> None:
    text = "# why\n\nCVE-2026-1 until 2026-12-31: the parser isn't reached\n"
    assert accepted(text, datetime.date(2026, 12, 31)) == {"CVE-2026-1"}
    assert accepted(text, datetime.date(2027, 1, 1)) == frozenset()
    for line in ("CVE-2026-1", "CVE-2026-1 until soon: why", "CVE-2026-1 until 2026-12-31:"):
        with pytest.raises(ValueError, match="expected `CVE-YEAR-NUMBER until"):
            accepted(line, datetime.date(2026, 1, 1))
