"""AWS: SageMaker runs the training pipeline, answers as an endpoint, scores in batches and watches models."""
