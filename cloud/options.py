"""What the commands of `faultwatch cloud` share: which environment, in which region."""

from pathlib import Path
from typing import Annotated

import typer

MadeOption = Annotated[
    Path,
    typer.Option("--made", help="What `terraform output -json faultwatch` says of the environment.", metavar="FILE"),
]
RegionOption = Annotated[str | None, typer.Option(help="Region of AWS. Default: that of AWS_REGION or the profile.")]
TypeOption = Annotated[str, typer.Option("--type", help="The device type.", metavar="NAME")]
PackageOption = Annotated[
    str | None, typer.Option("--model", help="ARN of a registered model. Default: the newest approved one.")
]
