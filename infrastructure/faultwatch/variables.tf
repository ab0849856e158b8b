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
}

variable "github_environment" {
  description = "Name of this environment on GitHub; jobs of it deploy, jobs of infrastructure-NAME apply, jobs of plan-NAME plan. The first two must be limited to the branch main on GitHub."
  type        = string
}

variable "state_bucket" {
  description = "Name of the bucket with Terraform's state; null makes no roles for GitHub's jobs to plan and apply with."
  type        = string
  default     = null
}

variable "github_provider_arn" {
  description = "ARN of the account's identity provider for GitHub, where it has one already."
  type        = string
  default     = null
}

variable "admin_principal_arns" {
  description = "ARNs of the roles or users that may do everything in the cluster."
  type        = set(string)
}

variable "emails" {
  description = "Addresses that alarms are sent to."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "Cost of the account in a month, in US dollars, that raises a notice."
  type        = number
}

variable "network" {
  description = "The network: addresses, zones, a NAT gateway in each, and services that are reached without one."
  type = object({
    cidr                = optional(string, "10.40.0.0/16")
    zones               = optional(list(string), ["a", "b"])
    nat_per_zone        = bool
    interface_endpoints = set(string)
  })
}

variable "cluster" {
  description = "The cluster: who reaches its API over the internet, and its nodes."
  type = object({
    kubernetes_version  = optional(string, "1.34")
    public_access_cidrs = set(string)
    nodes = object({
      instance_types = list(string)
      architecture   = string
      disk_gib       = number
      min            = number
      max            = number
    })
  })
}

variable "database" {
  description = "The database: its size, a second instance in another zone, and days of backups."
  type = object({
    instance_class  = string
    storage_gib     = number
    max_storage_gib = number
    multi_az        = bool
    backup_days     = number
  })
}

variable "training" {
  description = "When the training pipeline starts, and whether it does yet."
  type = object({
    schedule         = optional(string, "cron(0 2 * * ? *)")
    schedule_enabled = bool
  })
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
}

variable "keep_data" {
  description = "Whether AWS refuses to delete what holds data: database, buckets that aren't empty, images, secrets."
  type        = bool
}
