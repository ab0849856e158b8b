locals {
  key_use = {
    Effect   = "Allow"
    Resource = [var.kms_key_arn]
    Condition = {
      StringEquals = { "kms:EncryptionContext:aws:s3:arn" = [aws_s3_bucket.this.arn] }
    }
  }
}

output "name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "read_statements" {
  description = "Statements of an IAM policy that let its role list and read the bucket, and nothing else."
  value = [
    { Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket"], Resource = [aws_s3_bucket.this.arn] },
    { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${aws_s3_bucket.this.arn}/*"] },
    merge(local.key_use, { Action = ["kms:Decrypt"] }),
  ]
}

output "write_statements" {
  description = "Statements of an IAM policy that let its role list, read, write and delete; versions stay."
  value = [
    { Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource = [aws_s3_bucket.this.arn] },
    {
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      Resource = ["${aws_s3_bucket.this.arn}/*"]
    },
    merge(local.key_use, { Action = ["kms:Decrypt", "kms:GenerateDataKey"] }),
  ]
}
