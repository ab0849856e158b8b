variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "repository" {
  description = "This repository on GitHub, as OWNER/NAME."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be OWNER/NAME, such as example/faultwatch, without https:// and without *."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Ids of private subnets that reach GitHub through NAT."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids must name a subnet or more."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the GitHub App's secret."
  type        = string
}

variable "architecture" {
  description = "Architecture of the runner, x86_64 or arm64; instance_type must be of it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "instance_type" {
  description = "Type of the instance, such as t4g.large."
  type        = string
  default     = "t4g.large"
}

variable "disk_gib" {
  description = "Size of the encrypted disk, in GiB."
  type        = number
  default     = 40

  validation {
    condition     = var.disk_gib >= 16
    error_message = "disk_gib must be 16 or more: the system, the runner and a checkout need as much."
  }
}

variable "max_runners" {
  description = "Most runners at once; none runs until a workflow asks for one."
  type        = number
  default     = 2

  validation {
    condition     = var.max_runners >= 1 && var.max_runners <= 20
    error_message = "max_runners must be 1 to 20."
  }
}

variable "label" {
  description = "Label by which a job asks for this runner in `runs-on`; null takes the environment's name."
  type        = string
  default     = null
}

variable "hours" {
  description = "Hours after which a runner ends itself, with a job or without."
  type        = number
  default     = 2

  validation {
    condition     = var.hours >= 1 && var.hours <= 24
    error_message = "hours must be 1 to 24."
  }
}

variable "secret_recovery_days" {
  description = "Days for which the deleted secret can be brought back, 7 to 30; 0 deletes it at once, so that its name is free again."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days must be 0 or 7 to 30."
  }
}
