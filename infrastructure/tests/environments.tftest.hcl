mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  account_id = "123456789012"
  region     = "eu-central-1"
  repository = "example/faultwatch"
  emails     = ["oncall@example.com"]
}

run "dev_can_be_destroyed" {
  command = plan

  module {
    source = "./environments/dev"
  }

  assert {
    condition     = output.faultwatch.buckets.telemetry == "faultwatch-dev-telemetry-123456789012"
    error_message = "dev keeps its readings elsewhere."
  }

  assert {
    condition     = keys(output.faultwatch.role_arns) == ["deploy", "push"]
    error_message = "Unasked, GitHub's jobs could plan or apply."
  }
}

run "the_runner_has_the_label_that_deploy_yml_asks_for_and_the_group_that_make_runner_raises" {
  command = plan

  module {
    source = "./environments/dev"
  }

  assert {
    condition     = output.faultwatch.runner.label == "faultwatch-dev" && output.faultwatch.runner.group_name == "faultwatch-dev-runner"
    error_message = "A deployment waits for a runner that has another label, or raises a group that isn't there."
  }
}

run "prod_is_another_one" {
  command = plan

  module {
    source = "./environments/prod"
  }

  variables {
    state_bucket = "faultwatch-state-123456789012-eu-central-1"
  }

  assert {
    condition     = output.faultwatch.cluster_name == "faultwatch-prod" && output.faultwatch.runner.label == "faultwatch-prod"
    error_message = "prod shares a name with another environment."
  }

  assert {
    condition     = keys(output.faultwatch.role_arns) == ["apply", "deploy", "plan", "push"]
    error_message = "GitHub's jobs can't plan and apply."
  }
}

run "prod_keeps_what_holds_data" {
  command = plan

  module {
    source = "./faultwatch"
  }

  variables {
    name                 = "faultwatch-test"
    github_environment   = "test"
    admin_principal_arns = []
    monthly_budget_usd   = 900
    log_retention_days   = 365
    keep_data            = true
    network              = { nat_per_zone = true, interface_endpoints = [] }
    cluster              = { public_access_cidrs = [], nodes = { instance_types = ["m7g.large"], architecture = "arm64", disk_gib = 80, min = 3, max = 6 } }
    database             = { instance_class = "db.m7g.large", storage_gib = 50, max_storage_gib = 500, multi_az = true, backup_days = 30 }
    training             = { schedule_enabled = false }
  }

  assert {
    condition     = local.secret_recovery_days == 30
    error_message = "Deleted secrets can't be brought back."
  }

  assert {
    condition = alltrue([
      for statement in concat(local.look_statements, local.state_statements) : !contains(statement.Action, "s3:GetObject") || !contains(statement.Resource, "*")
    ]) && length(setintersection(flatten([for statement in local.look_statements : statement.Action]), ["s3:GetObject", "secretsmanager:GetSecretValue", "kms:Decrypt", "sqs:ReceiveMessage"])) == 0
    error_message = "Who plans could read data or secrets."
  }
}

run "who_works_with_models_may_not_change_the_rest" {
  command = plan

  module {
    source = "./faultwatch"
  }

  variables {
    name                 = "faultwatch-test"
    github_environment   = "test"
    admin_principal_arns = []
    monthly_budget_usd   = 300
    log_retention_days   = 30
    keep_data            = false
    network              = { nat_per_zone = false, interface_endpoints = [] }
    cluster              = { public_access_cidrs = [], nodes = { instance_types = ["t4g.large"], architecture = "arm64", disk_gib = 40, min = 1, max = 2 } }
    database             = { instance_class = "db.t4g.small", storage_gib = 20, max_storage_gib = 50, multi_az = false, backup_days = 7 }
    training             = { schedule_enabled = false }
  }

  assert {
    condition = toset([
      for action in flatten([for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement.Action]) : split(":", action)[0]
    ]) == toset(["iam", "kms", "s3", "sagemaker"])
    error_message = "Who works with models reaches other services."
  }

  assert {
    condition     = length(aws_iam_policy.operator.policy) < 6144
    error_message = "The policy is longer than AWS takes."
  }
}

run "an_account_that_is_none_is_refused" {
  command = plan

  module {
    source = "./environments/dev"
  }

  variables {
    account_id = "my-account"
  }

  expect_failures = [var.account_id]
}

run "a_region_that_is_none_is_refused" {
  command = plan

  module {
    source = "./environments/dev"
  }

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}
