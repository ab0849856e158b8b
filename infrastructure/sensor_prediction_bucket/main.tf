data "aws_caller_identity" "current" {}

module "bucket" {
  source = "../bucket"

  name          = "${var.name}-predictions-${data.aws_caller_identity.current.account_id}"
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy

  expire_days     = var.expire_days
  noncurrent_days = 7
}
