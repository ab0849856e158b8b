"""What Terraform made of an environment, as far as SageMaker is told of it: names, roles, network, database."""

from pathlib import Path

import msgspec

from ...exceptions import ConfigError

HOW = "terraform -chdir=infrastructure/environments/dev output -json faultwatch > dev.json"


class Buckets(msgspec.Struct, frozen=True):
    """Names of the buckets."""

    models: str
    predictions: str
    telemetry: str


class SageMaker(msgspec.Struct, frozen=True):
    """What jobs run with: their role, their network, their key, and the names that the schedule knows."""

    execution_role_arn: str
    kms_key_arn: str
    model_package_group: str
    pipeline_name: str
    security_group_id: str
    subnet_ids: list[str]

    @property
    def account(self) -> str:
        """The account that everything is in."""
        return self.execution_role_arn.split(":")[4]


class Made(msgspec.Struct, frozen=True):
    """The output `faultwatch` of an environment; what is not named here is left out."""

    buckets: Buckets
    database_endpoint: str
    database_secret_arn: str
    sagemaker: SageMaker

    @property
    def lake_url(self) -> str:
        """Where readings are kept for good, as the chart sets it."""
        return f"s3://{self.buckets.telemetry}/lake"


def read_made(path: Path) -> Made:
    """Read what `terraform output -json faultwatch` wrote. Raises ConfigError where it is something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Made)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}; write it with: {HOW}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} is not what Terraform says of an environment ({error}); write it with: {HOW}") from (
            error
        )
