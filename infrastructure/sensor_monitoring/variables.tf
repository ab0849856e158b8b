variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts messages; its policy must let CloudWatch and RDS use it."
  type        = string
}

variable "emails" {
  description = "Addresses that alarms are sent to; each must confirm once."
  type        = set(string)

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "emails must hold an address or more, such as oncall@example.com: alarms that reach nobody are none."
  }
}

variable "monthly_budget_usd" {
  description = "Cost of the whole account in a month, in US dollars; the forecast and four fifths of it raise a notice."
  type        = number

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd must be above 0."
  }
}

variable "database_identifier" {
  description = "Identifier of the RDS instance."
  type        = string
}

variable "database_storage_gib" {
  description = "Storage that the database may grow to, in GiB; a tenth of it left raises an alarm."
  type        = number
}

variable "cluster_name" {
  description = "Name of the EKS cluster, whose Container Insights are watched."
  type        = string
}

variable "namespace" {
  description = "Namespace of faultwatch in the cluster."
  type        = string
}

variable "pod_log_group" {
  description = "Name of the log group of the pods, whose errors are counted."
  type        = string
}

variable "nat_gateway_ids" {
  description = "Ids of the NAT gateways, each under a name of its own."
  type        = map(string)
}

variable "runner_group_name" {
  description = "Name of the autoscaling group of runners."
  type        = string
}

variable "runner_hours" {
  description = "Hours that a runner lives at most; one that runs for longer raises an alarm."
  type        = number
}

variable "missed_queue_name" {
  description = "Name of the queue of pipeline starts that failed."
  type        = string
}

variable "pipeline_name" {
  description = "Name of the training pipeline, whose failures are told."
  type        = string
}
