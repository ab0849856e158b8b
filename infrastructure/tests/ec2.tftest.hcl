mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "faultwatch-test"
  repository  = "example/faultwatch"
  vpc_id      = "vpc-0123456789abcdef0"
  subnet_ids  = ["subnet-0123456789abcdef0"]
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "nobody_connects_to_a_runner" {
  command = plan

  module {
    source = "./sensor_ec2"
  }

  assert {
    condition     = length(aws_security_group.this.ingress) == 0
    error_message = "The runner has an inbound rule."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.tls.from_port == 443 && aws_vpc_security_group_egress_rule.tls.to_port == 443
    error_message = "The runner may go out by more than TLS."
  }

  assert {
    condition     = one(aws_launch_template.this.network_interfaces).associate_public_ip_address == "false" && aws_launch_template.this.key_name == null
    error_message = "The runner has a public address or takes an SSH key."
  }

  assert {
    condition     = endswith(aws_iam_role_policy_attachment.ssm.policy_arn, ":policy/AmazonSSMManagedInstanceCore")
    error_message = "Without Systems Manager nobody can look at a runner."
  }
}

run "metadata_by_session_and_disk_encrypted" {
  command = plan

  module {
    source = "./sensor_ec2"
  }

  assert {
    condition     = one(aws_launch_template.this.metadata_options).http_tokens == "required" && one(aws_launch_template.this.metadata_options).http_put_response_hop_limit == 1
    error_message = "IMDSv1 would answer, or a container could ask."
  }

  assert {
    condition     = one(one(aws_launch_template.this.block_device_mappings).ebs).encrypted == "true"
    error_message = "The disk is not encrypted."
  }
}

run "none_runs_until_asked" {
  command = plan

  module {
    source = "./sensor_ec2"
  }

  assert {
    condition     = aws_autoscaling_group.this.min_size == 0 && aws_autoscaling_schedule.night.desired_capacity == 0
    error_message = "A runner would run with nothing to do."
  }

  assert {
    condition = toset(flatten([for statement in output.start_statements : statement.Action])) == toset([
      "autoscaling:DescribeAutoScalingGroups", "autoscaling:SetDesiredCapacity",
    ])
    error_message = "Who deploys can't look for the group and raise it, as `make runner` does, or may do more."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), "--ephemeral") && strcontains(base64decode(aws_launch_template.this.user_data), "export REPOSITORY='example/faultwatch'")
    error_message = "The runner would stay for a second job, or register elsewhere."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : !contains(statement.Resource, "*")
    ])
    error_message = "The runner's role reaches more than its secret, its key and its group."
  }
}

run "a_repository_by_address_is_refused" {
  command = plan

  module {
    source = "./sensor_ec2"
  }

  variables {
    repository = "https://github.com/example/faultwatch"
  }

  expect_failures = [var.repository]
}
