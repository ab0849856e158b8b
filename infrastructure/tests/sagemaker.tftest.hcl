mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                       = "faultwatch-test"
  vpc_id                     = "vpc-0123456789abcdef0"
  kms_key_arn                = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  image_repository_arn       = "arn:aws:ecr:eu-central-1:123456789012:repository/faultwatch-test"
  database_security_group_id = "sg-0fedcba9876543210"
  database_secret_arn        = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1"
  data_statements            = [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::bucket/*"] }]
}

run "jobs_reach_what_is_theirs" {
  command = plan

  module {
    source = "./sensor_sagemaker"
  }

  assert {
    condition     = aws_sagemaker_model_package_group.this.model_package_group_name == "faultwatch-test" && output.model_package_group == "faultwatch-test"
    error_message = "Models are registered under another name than the role knows."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement :
      !contains(statement.Resource, "*") || contains(["SignInToPull", "Metrics", "LookAtTheNetwork"], try(statement.Sid, ""))
    ])
    error_message = "Jobs reach something without naming it."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Condition if try(statement.Sid, "") == "HandJobsThisRole"
    ]) == { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    error_message = "The role could be handed to another service."
  }

  assert {
    condition     = length(aws_security_group.jobs.ingress) == 0
    error_message = "Jobs can be connected to."
  }

  assert {
    condition     = jsondecode(aws_iam_role.execution.assume_role_policy).Statement[0].Condition == { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    error_message = "Another account's SageMaker could assume the role."
  }
}

run "jobs_read_the_database_and_one_secret" {
  command = plan

  module {
    source = "./sensor_sagemaker"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.database.referenced_security_group_id == "sg-0fedcba9876543210" && aws_vpc_security_group_egress_rule.database.from_port == 5432
    error_message = "Jobs don't reach the database, or more than it."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement if try(statement.Sid, "") == "ReadTheDatabasesSecret"
      ]) == {
      Sid = "ReadTheDatabasesSecret", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = [var.database_secret_arn]
    }
    error_message = "Jobs can't read the database's secret, or read others, too."
  }
}

run "the_service_follows_and_people_set_up" {
  command = plan

  module {
    source = "./sensor_sagemaker"
  }

  assert {
    condition = toset(flatten([for statement in output.use_statements : statement.Action])) == toset([
      "sagemaker:DescribeModelPackage", "sagemaker:DescribeMonitoringSchedule", "sagemaker:DescribePipeline", "sagemaker:DescribeProcessingJob",
      "sagemaker:ListModelPackages", "sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution",
    ])
    error_message = "The service may do other than start training, look up models, and read what comparisons found."
  }

  assert {
    condition = alltrue([
      for resource in flatten([for statement in output.use_statements : statement.Resource]) : startswith(resource, "arn:aws:sagemaker:eu-central-1:123456789012:")
    ]) && output.use_statements[0].Resource == [output.pipeline_arn]
    error_message = "The service reaches another account's things, or starts other pipelines."
  }

  assert {
    condition = alltrue([
      for statement in output.set_up_statements : !contains(statement.Resource, "*") || statement.Action == ["sagemaker:ListEndpoints"]
    ])
    error_message = "People reach something without naming it."
  }

  assert {
    condition = one([for statement in output.set_up_statements : statement if statement.Action == ["iam:PassRole"]]) == {
      Effect = "Allow", Action = ["iam:PassRole"], Resource = [aws_iam_role.execution.arn], Condition = { StringEquals = { "iam:PassedToService" = ["sagemaker.amazonaws.com"] } }
    }
    error_message = "People can hand another role to jobs, or this one to something else."
  }
}

run "training_starts_once_it_is_deployed" {
  command = plan

  module {
    source = "./sensor_sagemaker"
  }

  assert {
    condition     = aws_scheduler_schedule.training.state == "DISABLED" && one(aws_scheduler_schedule.training.target).arn == output.pipeline_arn
    error_message = "The schedule starts a pipeline that is not there yet, or another one."
  }

  assert {
    condition     = one(one(aws_scheduler_schedule.training.target).dead_letter_config).arn == aws_sqs_queue.missed.arn
    error_message = "A start that failed is lost."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule.policy).Statement[0] == { Effect = "Allow", Action = ["sagemaker:StartPipelineExecution"], Resource = [output.pipeline_arn] }
    error_message = "The schedule may start other pipelines."
  }
}

run "a_schedule_nobody_can_read_is_refused" {
  command = plan

  module {
    source = "./sensor_sagemaker"
  }

  variables {
    schedule = "every night"
  }

  expect_failures = [var.schedule]
}
