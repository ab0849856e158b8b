"""Has a registered model answer over HTTPS: an endpoint of SageMaker, whose requests and answers are captured."""

from ...exceptions import ConflictError
from .account import Account, asking, or_undone
from .batch import INSTANCE, model_request
from .made import Made
from .monitoring import capture


def config_request(made: Made, name: str) -> dict[str, object]:
    """What CreateEndpointConfig is asked: one machine with the model of that name."""
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": INSTANCE,
        "InitialVariantWeight": 1.0,
    }
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [variant],
        "DataCaptureConfig": capture(made),
        "KmsKeyId": made.sagemaker.kms_key_arn,
    }


def create(account: Account, made: Made, name: str, package: str) -> str:
    """Make an endpoint of a registered model; return its ARN. It answers in about five minutes.

    Raises ConflictError where there is an endpoint of that name. What was made before a step failed is deleted again.
    """
    account.must_be(made.sagemaker.account)
    client = account.client("sagemaker")
    with asking(f"endpoint {name}"):
        there = client.list_endpoints(NameContains=name)["Endpoints"]
        if name in {endpoint["EndpointName"] for endpoint in there}:
            raise ConflictError(f"endpoint {name!r} is there already; delete it, or name another with --name")
        client.create_model(**model_request(made, name, package))
    with or_undone(f"Model {name}", lambda: client.delete_model(ModelName=name)):
        with asking(f"configuration of endpoint {name}"):
            client.create_endpoint_config(**config_request(made, name))
        with (
            or_undone(f"Configuration {name}", lambda: client.delete_endpoint_config(EndpointConfigName=name)),
            asking(f"endpoint {name}"),
        ):
            return str(client.create_endpoint(EndpointName=name, EndpointConfigName=name)["EndpointArn"])
