# The key of faultwatch; its value is put in by hand, so that Terraform's state never holds it.
resource "aws_secretsmanager_secret" "key" {
  #checkov:skip=CKV2_AWS_57:It signs cookies and encrypts the secrets of channels: a change by itself would end every session and lose every channel
  name                    = "${var.name}/secret-key"
  description             = "The key that signs faultwatch's cookies and encrypts the secrets of its channels"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

locals {
  secret_arns = concat([aws_secretsmanager_secret.key.arn], var.secret_arns)
}

# External Secrets brings them into the cluster; no pod of faultwatch asks Secrets Manager itself.
resource "aws_iam_role_policy" "secrets" {
  name = "read-secrets"
  role = aws_iam_role.pods["external-secrets"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = local.secret_arns
      },
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:EncryptionContext:SecretARN" = local.secret_arns } }
      },
    ]
  })
}

resource "aws_eks_pod_identity_association" "secrets" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "external-secrets"
  service_account = "external-secrets"
  role_arn        = aws_iam_role.pods["external-secrets"].arn
}
