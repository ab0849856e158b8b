mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                 = "faultwatch-test"
  kms_key_arn          = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  emails               = ["oncall@example.com"]
  monthly_budget_usd   = 350
  database_identifier  = "faultwatch-test-fleet"
  database_storage_gib = 50
  cluster_name         = "faultwatch-test"
  namespace            = "faultwatch"
  pod_log_group        = "/aws/containerinsights/faultwatch-test/application"
  nat_gateway_ids      = { public-a = "nat-0123456789abcdef0" }
  runner_group_name    = "faultwatch-test-runner"
  runner_hours         = 2
  missed_queue_name    = "faultwatch-test-training-missed"
  pipeline_name        = "faultwatch-test-training"
}

run "every_alarm_reaches_somebody" {
  command = plan

  module {
    source = "./sensor_monitoring"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 11 && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) == 1 && length(alarm.ok_actions) == 1])
    error_message = "An alarm is missing, or tells nobody."
  }

  assert {
    condition     = keys(aws_sns_topic_subscription.email) == ["oncall@example.com"] && aws_sns_topic.alarms.kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    error_message = "Somebody who was named is not told, or messages are readable on disk."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement :
      statement.Effect == "Deny" || statement.Condition == { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    ])
    error_message = "Another account could send alarms."
  }
}

run "alarms_mean_what_they_say" {
  command = plan

  module {
    source = "./sensor_monitoring"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-storage"].threshold == 5368709120 && aws_cloudwatch_metric_alarm.this["database-storage"].comparison_operator == "LessThanThreshold"
    error_message = "A tenth of 50 GiB is 5 GiB."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["pods"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["pods"].evaluation_periods == 2
    error_message = "A cluster that says nothing would pass for one that runs."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["runner-left-on"].evaluation_periods * 300 == 9000
    error_message = "A runner may live for two hours; half an hour later it was left on."
  }
}

run "the_budget_warns_of_what_is_spent_and_of_what_will_be" {
  command = plan

  module {
    source = "./sensor_monitoring"
  }

  assert {
    condition     = aws_budgets_budget.month.limit_amount == "350.0" && { for notice in aws_budgets_budget.month.notification : notice.notification_type => notice.threshold } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "The budget's notices are not at four fifths spent and all of it foreseen."
  }
}

run "alarms_for_nobody_are_refused" {
  command = plan

  module {
    source = "./sensor_monitoring"
  }

  variables {
    emails = []
  }

  expect_failures = [var.emails]
}
