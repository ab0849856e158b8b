data "aws_caller_identity" "current" {}

module "bucket" {
  source = "../bucket"

  name          = "${var.name}-models-${data.aws_caller_identity.current.account_id}"
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy

  # A model that was pushed is what a rollback goes back to: nothing expires, and what was deleted stays for a year.
  noncurrent_days = 365
}
