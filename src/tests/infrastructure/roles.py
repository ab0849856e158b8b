"""Who runs what asks AWS for something: the roles and the policy that infrastructure/ makes, by how their names end."""

from .rights import Function

COMMANDS: dict[str, set[Function]] = {
    # The service, in its pod: what is run often, and needs its data folder.
    "workload": {
        ("aws/deployment", "publish_champions"),
        ("aws/deployment", "start"),
        ("aws/deployment", "status"),
        ("cli", "pull"),
        ("cli_monitor", "alert"),
        ("cli_monitor", "show_violations"),
        ("cli_monitor", "truth"),
    },
    # Jobs of GitHub that deploy.
    "deploy": {("cli", "pipeline")},
    # Jobs of SageMaker.
    "sagemaker": {("cli", "step")},
    # People.
    "sagemaker-operator": {
        ("cli", "batch"),
        ("cli", "endpoint"),
        ("cli", "pipeline"),
        ("cli", "pull"),
        ("cli_monitor", "alert"),
        ("cli_monitor", "show_violations"),
        ("cli_monitor", "start_monitoring"),
        ("cli_monitor", "truth"),
    },
}

ASK_NOTHING: set[Function] = {("cli", "serve"), ("cli_monitor", "baseline")}

SCRIPTS = {"deploy": {"deploy.py", "raise_runner.py"}, "push": {"image_scan.py"}}
