mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "the_key_rotates_and_serves_this_account" {
  command = plan

  module {
    source = "./sensor_key"
  }

  variables {
    name = "faultwatch-test"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "The key does not rotate, or is gone sooner than thirty days after a mistake."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.this.policy).Statement :
      try(statement.Condition != null, false) || statement.Principal == { AWS = "arn:aws:iam::123456789012:root" }
    ])
    error_message = "Somebody outside this account could use the key."
  }
}

run "a_window_that_kms_does_not_know_is_refused" {
  command = plan

  module {
    source = "./sensor_key"
  }

  variables {
    name                 = "faultwatch-test"
    deletion_window_days = 3
  }

  expect_failures = [var.deletion_window_days]
}
