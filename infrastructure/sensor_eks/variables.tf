variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "kubernetes_version" {
  description = "Version of Kubernetes, such as 1.34; AWS charges six times as much for one past its fourteen months."
  type        = string
  default     = "1.34"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version, such as 1.34."
  }
}

variable "subnet_ids" {
  description = "Ids of the private subnets, in two zones or more, for nodes and the API's addresses."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of two zones or more: EKS takes no fewer."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts Kubernetes' secrets, the secret of faultwatch's key, and logs."
  type        = string
}

variable "public_access_cidrs" {
  description = "Networks from which the API is reached over the internet; with none it is reached from the VPC only."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "public_access_cidrs must be networks such as 203.0.113.0/24; the whole internet (/0) is not taken."
  }
}

variable "api_security_group_ids" {
  description = "Ids of the security groups that may reach the API inside the VPC, each under a name of its own."
  type        = map(string)
  default     = {}
}

variable "admin_principal_arns" {
  description = "ARNs of the roles or users that may do everything in the cluster."
  type        = set(string)
  default     = []
}

variable "deployers" {
  description = "ARNs of the roles that may do everything in the namespace, and nothing outside, each under a name of its own."
  type        = map(string)
  default     = {}
}

variable "namespace" {
  description = "Namespace that faultwatch runs in."
  type        = string
  default     = "faultwatch"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace)) && !startswith(var.namespace, "kube-")
    error_message = "namespace must be 1 to 63 small letters, digits and hyphens, and not one of Kubernetes' own (kube-)."
  }
}

variable "service_account" {
  description = "Service account whose pods get the rights of workload_statements."
  type        = string
  default     = "faultwatch"
}

variable "workload_statements" {
  description = "Statements of the IAM policy of faultwatch's pods: which buckets they read and write."
  type = list(object({
    Effect    = string
    Action    = list(string)
    Resource  = list(string)
    Condition = optional(map(map(list(string))))
  }))
}

variable "secret_arns" {
  description = "ARNs of further secrets that External Secrets may bring into the cluster, such as the database's."
  type        = list(string)
  default     = []
}

variable "nodes" {
  description = "The nodes: instance types to choose from (all of one architecture), disk in GiB, and how many, at least and at most."
  type = object({
    instance_types = list(string)
    architecture   = string
    disk_gib       = number
    min            = number
    max            = number
  })

  validation {
    condition     = contains(["x86_64", "arm64"], var.nodes.architecture)
    error_message = "nodes.architecture must be x86_64 or arm64."
  }

  validation {
    condition     = length(var.nodes.instance_types) > 0 && var.nodes.min >= 1 && var.nodes.max > var.nodes.min && var.nodes.disk_gib >= 20
    error_message = "nodes needs an instance type, min of 1 or more, max above min (an update adds nodes first) and disk_gib of 20 or more."
  }
}

variable "log_retention_days" {
  description = "Days for which logs of control plane and pods are kept."
  type        = number
  default     = 365
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
