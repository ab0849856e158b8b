variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Ids of the subnets, in two zones or more, that the database may be in."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of two zones or more: RDS takes no fewer."
  }
}

variable "client_security_group_ids" {
  description = "Ids of the security groups that may connect, each under a name of its own."
  type        = map(string)
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts storage, backups, insights and the master password."
  type        = string
}

variable "engine_version" {
  description = "Version of PostgreSQL: the major one alone lets AWS choose and update the minor."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^1[5-9](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version must be PostgreSQL 15 or newer, such as 17 or 17.5."
  }
}

variable "instance_class" {
  description = "Class of the instance, such as db.t4g.small."
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class must be a class of RDS, such as db.t4g.small."
  }
}

variable "storage_gib" {
  description = "Storage to begin with, in GiB."
  type        = number
  default     = 20

  validation {
    condition     = var.storage_gib >= 20
    error_message = "storage_gib must be 20 or more: gp3 begins there."
  }
}

variable "max_storage_gib" {
  description = "Size that storage may grow to by itself, in GiB."
  type        = number
  default     = 100

  validation {
    condition     = var.max_storage_gib >= ceil(var.storage_gib * 1.26)
    error_message = "max_storage_gib must be at least 26 % above storage_gib: AWS grows storage in such steps."
  }
}

variable "multi_az" {
  description = "Whether a second instance in another zone takes over when the first fails."
  type        = bool
  default     = false
}

variable "backup_days" {
  description = "Days back to which the database can be brought, to the second."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be 1 to 35."
  }
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted; a last snapshot is then taken, too."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which the database's log is kept."
  type        = number
  default     = 365
}
