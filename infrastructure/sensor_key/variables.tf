variable "name" {
  description = "Name of the environment, such as faultwatch-dev; the key's alias."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "deletion_window_days" {
  description = "Days between asking for the key's deletion and its end; until then it can be saved."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days must be 7 to 30: AWS KMS takes no other."
  }
}
