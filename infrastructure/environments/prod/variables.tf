variable "account_id" {
  description = "Id of the AWS account; credentials of any other account are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits that `aws sts get-caller-identity` shows."
  }
}

variable "region" {
  description = "Region that everything is made in, such as eu-central-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "repository" {
  description = "This repository on GitHub, as OWNER/NAME."
  type        = string
}

variable "state_bucket" {
  description = "Name of the bucket with Terraform's state; null makes no roles for GitHub's jobs to plan and apply with."
  type        = string
  default     = null
}

variable "github_provider_arn" {
  description = "ARN of the account's identity provider for GitHub, where it has one already: AWS takes one an account."
  type        = string
  default     = null
}

variable "admin_principal_arns" {
  description = "ARNs of the roles or users that may do everything in the cluster."
  type        = set(string)
  default     = []
}

variable "public_access_cidrs" {
  description = "Networks from which the Kubernetes API is reached over the internet; with none, from the VPC only."
  type        = set(string)
  default     = []
}

variable "emails" {
  description = "Addresses that alarms are sent to; each must confirm once."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "Cost of the account in a month, in US dollars, that raises a notice."
  type        = number
  default     = 1000
}

variable "training_enabled" {
  description = "Whether the training pipeline starts by schedule; turn it on once it has been deployed."
  type        = bool
  default     = false
}
