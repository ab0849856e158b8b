variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the bucket's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts what is in the bucket."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete the bucket with the models in it."
  type        = bool
  default     = false
}

