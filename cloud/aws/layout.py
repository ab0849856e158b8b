"""How SageMaker lays out a container's folder: what a job finds there, and where it leaves what it made.

`root` is /opt/ml in a container of AWS; the setting `container_root` names another, as a test does.
"""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...exceptions import ConfigError

ROOT = Path("/opt/ml")
ENTRYPOINT = ("faultwatch", "cloud", "step")
ARTIFACT = "artifact"
VERDICT = "verdict"
VERDICT_FILE = "verdict.json"
MODELS = "models"
MODEL_ARCHIVE = "model.tar.gz"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders below a root, by what they are for."""

    root: Path

    def processing_input(self, name: str) -> Path:
        """Where a processing job finds an input."""
        return self.root / "processing" / "input" / name

    def processing_output(self, name: str) -> Path:
        """Where a processing job leaves an output."""
        return self.root / "processing" / "output" / name

    def channel(self, name: str) -> Path:
        """Where a training job finds an input."""
        return self.root / "input" / "data" / name

    @property
    def model(self) -> Path:
        """Where a training job leaves a model, and an endpoint finds one."""
        return self.root / "model"

    @property
    def hyperparameters(self) -> Path:
        """What a training job is told; a processing job has none."""
        return self.root / "input" / "config" / "hyperparameters.json"

    @property
    def trains(self) -> bool:
        """Whether this is a training job's folder."""
        return self.hyperparameters.is_file()

    @property
    def reason(self) -> Path:
        """The file whose text is told as the reason why a job failed."""
        return self.root / "output" / ("failure" if self.trains else "message")

    def told(self) -> dict[str, str]:
        """The hyperparameters: names and texts. Raises ConfigError where the file is something else."""
        if not self.trains:
            return {}
        try:
            return msgspec.json.decode(self.hyperparameters.read_bytes(), type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self.hyperparameters}: expected an object of names and texts ({error})") from error

    def input(self, name: str, scratch: Path) -> Path:
        """The folder of an input; a model, which comes packed, is unpacked to `scratch`.

        Raises ConfigError where it isn't there.
        """
        for folder in (self.channel(name), self.processing_input(name)):
            if (folder / MODEL_ARCHIVE).is_file():
                return unpack(folder / MODEL_ARCHIVE, scratch / name)
            if folder.is_dir():
                return folder
        raise ConfigError(
            f"no input {name!r} below {self.root}: the job's definition gives it no such input, or `container_root`"
            " names another folder"
        )


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a model to a folder. Raises ConfigError where it is damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as packed:
            packed.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ConfigError(f"{archive} can't be unpacked: {error}; train again") from error
    return folder
