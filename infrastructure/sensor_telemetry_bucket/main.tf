data "aws_caller_identity" "current" {}

module "bucket" {
  source = "../bucket"

  name          = "${var.name}-telemetry-${data.aws_caller_identity.current.account_id}"
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy

  # The lake deletes files that compaction has replaced; retention of readings is its own setting, not a rule here.
  intelligent_tiering_days = 30
  noncurrent_days          = var.noncurrent_days
}
