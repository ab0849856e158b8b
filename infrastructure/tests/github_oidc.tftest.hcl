mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  repository = "example/faultwatch"
  roles = {
    deploy = {
      environments = ["prod"]
      statements   = [{ Effect = "Allow", Action = ["eks:DescribeCluster"], Resource = ["arn:aws:eks:eu-central-1:123456789012:cluster/faultwatch-test"] }]
    }
    scan = {
      statements = [{ Effect = "Allow", Action = ["ecr:DescribeImages"], Resource = ["*"] }]
    }
  }
}

run "main_of_this_repository_and_nobody_else" {
  command = plan

  module {
    source = "./github_oidc"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["scan"].assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:example/faultwatch:ref:refs/heads/main"]
      }
    }
    error_message = "More than jobs on main may assume the role."
  }

  assert {
    condition = jsondecode(aws_iam_role.this["deploy"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == [
      "repo:example/faultwatch:ref:refs/heads/main", "repo:example/faultwatch:environment:prod",
    ]
    error_message = "Only the environment that was named may be let in beside main."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.this : role.max_session_duration == 3600])
    error_message = "Keys of a job must end within the hour."
  }
}

run "one_provider_an_account" {
  command = plan

  module {
    source = "./github_oidc"
  }

  variables {
    provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && output.provider_arn == var.provider_arn
    error_message = "A second provider would be refused by AWS."
  }
}

run "everything_on_everything_is_refused" {
  command = plan

  module {
    source = "./github_oidc"
  }

  variables {
    roles = { admin = { statements = [{ Effect = "Allow", Action = ["*"], Resource = ["*"] }] } }
  }

  expect_failures = [var.roles]
}

run "a_wildcard_for_environments_is_refused" {
  command = plan

  module {
    source = "./github_oidc"
  }

  variables {
    roles = { deploy = { environments = ["*"], statements = [] } }
  }

  expect_failures = [var.roles]
}
