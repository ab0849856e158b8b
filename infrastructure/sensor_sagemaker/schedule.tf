# Starts the training pipeline; a start that failed for good is kept in a queue, which an alarm watches.
resource "aws_sqs_queue" "missed" {
  name                      = "${local.pipeline}-missed"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
}

resource "aws_iam_role" "schedule" {
  name = "${local.pipeline}-schedule"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = local.only_this_one
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "start-training"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["sagemaker:StartPipelineExecution"], Resource = [local.pipeline_arn] },
      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.missed.arn] },
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "scheduler.${data.aws_region.current.name}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_scheduler_schedule" "training" {
  name                         = local.pipeline
  description                  = "Starts the training pipeline ${local.pipeline}"
  schedule_expression          = var.schedule
  schedule_expression_timezone = "UTC"
  state                        = var.schedule_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn                  = var.kms_key_arn

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = local.pipeline_arn
    role_arn = aws_iam_role.schedule.arn

    dead_letter_config {
      arn = aws_sqs_queue.missed.arn
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 5
    }
  }
}
