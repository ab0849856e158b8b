"""An environment as Terraform tells of it, for tests."""

import json
from pathlib import Path

from ...cloud.aws.made import Buckets, Made, SageMaker

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/faultwatch-test@sha256:{'0' * 64}"


def made(models: str = "faultwatch-test-models") -> Made:
    """An environment whose bucket of models has this name."""
    return Made(
        Buckets(models, "faultwatch-test-predictions", "faultwatch-test-telemetry"),
        "db.example.com:5432",
        f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:db",
        SageMaker(
            f"arn:aws:iam::{ACCOUNT}:role/faultwatch-test-sagemaker",
            KEY,
            "faultwatch-test",
            "faultwatch-test-training",
            "sg-0123456789abcdef0",
            ["subnet-0123456789abcdef0"],
        ),
    )


def written(folder: Path, environment: Made) -> Path:
    """The file that `terraform output -json faultwatch` would have written, with more in it than is read."""
    import msgspec

    path = folder / "made.json"
    path.write_text(json.dumps({**msgspec.to_builtins(environment), "cluster_name": "faultwatch-test"}))
    return path
