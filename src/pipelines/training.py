"""The training pipeline, declared once: from a snapshot of the lake to a model that is watched or serves."""

from ..components import (
    data_ingestion,
    data_transformation,
    data_validation,
    model_evaluation,
    model_pusher,
    model_trainer,
)
from .steps import Pipeline, Step

TRAINING = Pipeline(
    "training",
    (
        Step("data_ingestion", data_ingestion.run, data_ingestion.IngestionConfig()),
        Step(
            "data_validation",
            data_validation.run,
            data_validation.ValidationConfig(),
            inputs=("data_ingestion",),
        ),
        Step(
            "data_transformation",
            data_transformation.run,
            data_transformation.TransformationConfig(),
            inputs=("data_ingestion",),
            cached=True,
        ),
        Step(
            "model_trainer",
            model_trainer.run,
            model_trainer.TrainerConfig(),
            inputs=("data_transformation",),
            cached=True,
        ),
        Step(
            "model_evaluation",
            model_evaluation.run,
            model_evaluation.EvaluationConfig(),
            inputs=("data_ingestion", "model_trainer"),
        ),
        Step(
            "model_pusher",
            model_pusher.run,
            model_pusher.PusherConfig(),
            inputs=("data_ingestion", "model_trainer", "model_evaluation"),
        ),
    ),
)
"""Each step stops the run where its artifact's summary says `verdict: fail`."""
