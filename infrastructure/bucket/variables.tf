variable "name" {
  description = "Name of the bucket; the names of all AWS accounts share one space, so it should hold the account's id."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 63 small letters, digits and hyphens, with a letter or digit at both ends."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts what is in the bucket."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "noncurrent_days" {
  description = "Days for which a version that was overwritten or deleted can still be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days must be 1 or more."
  }
}

variable "expire_days" {
  description = "Days after which objects are deleted; null keeps them for good."
  type        = number
  default     = null

  validation {
    condition     = var.expire_days == null || try(var.expire_days >= 1, false)
    error_message = "expire_days must be 1 or more, or null."
  }
}

variable "intelligent_tiering_days" {
  description = "Days after which objects move to Intelligent-Tiering; null leaves them where they are."
  type        = number
  default     = null

  validation {
    condition     = var.intelligent_tiering_days == null || try(var.intelligent_tiering_days >= 0, false)
    error_message = "intelligent_tiering_days must be 0 or more, or null."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete a bucket that still holds objects."
  type        = bool
  default     = false
}
