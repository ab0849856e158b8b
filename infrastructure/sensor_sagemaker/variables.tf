variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "vpc_id" {
  description = "Id of the VPC that jobs run in."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts disks and outputs of jobs."
  type        = string
}

variable "image_repository_arn" {
  description = "ARN of the repository that jobs take their image from."
  type        = string
}

variable "database_secret_arn" {
  description = "ARN of the secret with user and password of the fleet database, which jobs read devices and labels from."
  type        = string
}

variable "database_security_group_id" {
  description = "Id of the security group of the fleet database, which jobs connect to."
  type        = string
}

variable "data_statements" {
  description = "Statements of an IAM policy: which buckets jobs read and write."
  type = list(object({
    Effect    = string
    Action    = list(string)
    Resource  = list(string)
    Condition = optional(map(map(list(string))))
  }))
}

variable "schedule" {
  description = "When the training pipeline starts, as a cron or rate expression of EventBridge Scheduler, in UTC."
  type        = string
  default     = "cron(0 2 * * ? *)"

  validation {
    condition     = can(regex("^(cron|rate)\\(.+\\)$", var.schedule))
    error_message = "schedule must be cron(...) or rate(...), such as cron(0 2 * * ? *)."
  }
}

variable "schedule_enabled" {
  description = "Whether the schedule runs; turn it on once the pipeline has been deployed."
  type        = bool
  default     = false
}
