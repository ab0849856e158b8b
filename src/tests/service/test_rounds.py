"""Rounds: the models are looked at in a process of its own, and what is due is trained."""

from pathlib import Path

from ...pipelines.runs import Runs
from ...service.rounds import Rounds
from ...settings import Settings
from ..components import lakeside
from .loops import until


def test_a_round_trains_a_type_that_no_run_has_trained(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500)
    (place.data / "mlflow").write_text("MLflow can't be told here")
    rounds = Rounds(Settings(data=place.data, monitor_hours=1, log_level="error"), first_s=0.0)
    rounds.start()
    until(lambda: rounds.done == 1, 110)
    rounds.stop()
    (run,) = Runs(place.data).all("training", type_id)
    assert run.state == "done" and run.trigger.kind == "schedule" and place.champion(type_id) is not None
    place.close()
