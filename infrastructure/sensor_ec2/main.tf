data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  runner = "${var.name}-runner"
  group_arn = join(":", [
    "arn:${data.aws_partition.current.partition}:autoscaling:${data.aws_region.current.name}",
    "${data.aws_caller_identity.current.account_id}:autoScalingGroup:*:autoScalingGroupName/${local.runner}",
  ])

  settings = {
    API          = "https://api.github.com"
    ARCHITECTURE = { x86_64 = "x64", arm64 = "arm64" }[var.architecture]
    GROUP        = local.runner
    HOURS        = var.hours
    LABEL        = coalesce(var.label, var.name)
    REGION       = data.aws_region.current.name
    REPOSITORY   = var.repository
    SECRET       = aws_secretsmanager_secret.app.arn
  }
}

# The GitHub App by which a runner registers. Its value is put in by hand, so that Terraform's state never holds it.
resource "aws_secretsmanager_secret" "app" {
  #checkov:skip=CKV2_AWS_57:The key of a GitHub App can be replaced on GitHub only
  name        = "${local.runner}/github-app"
  description = "GitHub App that registers runners: app_id, installation_id, private_key"
  kms_key_id  = var.kms_key_arn

  recovery_window_in_days = var.secret_recovery_days
}

# No inbound rule: nobody connects to a runner; people open a shell through Systems Manager, which the runner asks.
resource "aws_security_group" "this" {
  name        = local.runner
  description = "GitHub Actions runner: nothing inwards, TLS outwards"
  vpc_id      = var.vpc_id
  tags        = { Name = local.runner }
}

resource "aws_vpc_security_group_egress_rule" "tls" {
  security_group_id = aws_security_group.this.id
  description       = "TLS to GitHub, AWS and package registries"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_launch_template" "this" {
  name                                 = local.runner
  description                          = "One job of GitHub Actions, then the end"
  image_id                             = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
  instance_type                        = var.instance_type
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true
  ebs_optimized                        = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  network_interfaces {
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.this.id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.disk_gib
      encrypted             = true
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = local.runner }
  }

  user_data = base64encode(join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for key, value in local.settings : "export ${key}='${value}'"],
    [file("${path.module}/run-one-job.sh")],
  )))
}

# At zero until a workflow raises it; each runner lowers it again when its job is done.
resource "aws_autoscaling_group" "this" {
  name                  = local.runner
  min_size              = 0
  max_size              = var.max_runners
  vpc_zone_identifier   = var.subnet_ids
  max_instance_lifetime = 86400
  enabled_metrics       = ["GroupInServiceInstances"]

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  tag {
    key                 = "Name"
    value               = local.runner
    propagate_at_launch = true
  }
}

# A runner that could not even end itself does not outlive the night.
resource "aws_autoscaling_schedule" "night" {
  scheduled_action_name  = "none-at-night"
  autoscaling_group_name = aws_autoscaling_group.this.name
  recurrence             = "0 3 * * *"
  time_zone              = "Etc/UTC"
  min_size               = 0
  max_size               = var.max_runners
  desired_capacity       = 0
}
