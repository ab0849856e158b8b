data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  place         = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  arn           = "arn:${data.aws_partition.current.partition}"
  pipeline      = "${var.name}-training"
  pipeline_arn  = "${local.arn}:sagemaker:${local.place}:pipeline/${local.pipeline}"
  group_arn     = "${local.arn}:sagemaker:${local.place}:model-package-group/${var.name}"
  only_this_one = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
}

resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = var.name
  model_package_group_description = "Models of ${var.name}: each version with its evaluation and its approval"
}

# What jobs run in. They need no way in; outwards they reach AWS, through endpoints or NAT, and the fleet database.
resource "aws_security_group" "jobs" {
  #checkov:skip=CKV2_AWS_5:Jobs are put into it when the pipeline starts them
  name        = "${var.name}-jobs"
  description = "SageMaker jobs: nothing inwards, TLS and the fleet database outwards"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-jobs" }
}

resource "aws_vpc_security_group_egress_rule" "tls" {
  security_group_id = aws_security_group.jobs.id
  description       = "TLS to AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.jobs.id
  description                  = "PostgreSQL of the fleet database"
  referenced_security_group_id = var.database_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}
