"""The Terraform of this machine, and where its provider for AWS lies if not in the registry."""

import os
import re
import shutil
import subprocess
from pathlib import Path

NEEDED = (1, 11)
HOW_TO_GET_IT = "get 1.11 or newer from developer.hashicorp.com/terraform/install, and put it on the PATH"
PROVIDER = "registry.terraform.io/hashicorp/aws"
PLACES = ("~/.terraform.d/plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", "/opt/*")
"""Where providers are laid for machines without the registry: Terraform's own places, and those of added software."""


def find() -> Path | None:
    """Terraform on the PATH, or None."""
    path = shutil.which("terraform")
    return Path(path) if path else None


def why_absent() -> str | None:
    """None when a Terraform that is new enough is here, else what to do."""
    program = find()
    if program is None:
        return f"no terraform on the PATH; {HOW_TO_GET_IT}"
    said = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < NEEDED:
        return f"{program} is {said.splitlines()[0] if said else 'silent'}; {HOW_TO_GET_IT}"
    return None


def environment(folder: Path) -> dict[str, str]:
    """Variables for a Terraform that asks no questions, knows no account, and takes the provider from this machine.

    A configuration of the command line is written into `folder` where the provider lies here; where it doesn't,
    `terraform init` fetches it as usual.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    variables = kept | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-aws-credentials"),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }
    configuration = folder / "terraform.tfrc"
    if place := _mirror():
        path = str(place).replace("\\", "\\\\")
        configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{path}"\n  }}\n}}\n')
    else:
        configuration.write_text("")
    return variables | {"TF_CLI_CONFIG_FILE": str(configuration)}


def _mirror() -> Path | None:
    """The folder that holds the provider as a mirror does, or None."""
    for place in PLACES:
        root = Path(place).expanduser()
        for folder in root.parent.glob(root.name):
            if any(folder.glob(f"{PROVIDER}/*/*/terraform-provider-aws*")):
                return folder
    return None
