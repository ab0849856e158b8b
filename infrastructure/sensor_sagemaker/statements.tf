# What others need beside the jobs: the service, which follows training and comparisons, and people, who set them up.
locals {
  use_statements = [
    {
      Effect   = "Allow"
      Action   = ["sagemaker:DescribePipeline", "sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution"]
      Resource = [local.pipeline_arn]
    },
    {
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
      Resource = [local.group_arn, "${local.arn}:sagemaker:${local.place}:model-package/${var.name}/*"]
    },
    {
      # AWS names the jobs that compare; a schedule is named after its endpoint.
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeMonitoringSchedule", "sagemaker:DescribeProcessingJob"]
      Resource = [for kind in ["monitoring-schedule", "processing-job"] : "${local.arn}:sagemaker:${local.place}:${kind}/*"]
    },
  ]

  set_up_statements = [
    {
      Effect = "Allow"
      Action = [
        "sagemaker:CreateDataQualityJobDefinition", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel",
        "sagemaker:CreateModelQualityJobDefinition", "sagemaker:CreateMonitoringSchedule", "sagemaker:CreateTransformJob",
        "sagemaker:DeleteDataQualityJobDefinition", "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel",
        "sagemaker:DeleteModelQualityJobDefinition", "sagemaker:DeleteMonitoringSchedule", "sagemaker:StopTransformJob",
      ]
      Resource = [
        for kind in ["data-quality-job-definition", "endpoint", "endpoint-config", "model", "model-quality-job-definition", "monitoring-schedule", "transform-job"] :
        "${local.arn}:sagemaker:${local.place}:${kind}/*"
      ]
    },
    {
      # It knows no resource.
      Effect   = "Allow"
      Action   = ["sagemaker:ListEndpoints"]
      Resource = ["*"]
    },
    {
      Effect   = "Allow"
      Action   = ["sagemaker:UpdateModelPackage"]
      Resource = ["${local.arn}:sagemaker:${local.place}:model-package/${var.name}/*"]
    },
    {
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = [aws_iam_role.execution.arn]
      Condition = { StringEquals = { "iam:PassedToService" = ["sagemaker.amazonaws.com"] } }
    },
    {
      Effect    = "Allow"
      Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = ["sagemaker.${data.aws_region.current.name}.amazonaws.com"] } }
    },
  ]
}
