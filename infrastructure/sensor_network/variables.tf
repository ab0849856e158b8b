variable "name" {
  description = "Name of the environment, such as faultwatch-dev; begins the name of everything here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "name must be 3 to 31 small letters, digits and hyphens, beginning with a letter, such as faultwatch-dev."
  }
}

variable "cidr" {
  description = "Private addresses of the VPC; a sixteenth of them for each subnet."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22, false)
    error_message = "cidr must be a network from /16 to /22, such as 10.40.0.0/16."
  }
}

variable "zones" {
  description = "Letters of the region's availability zones to use; EKS and RDS need two."
  type        = list(string)
  default     = ["a", "b"]

  validation {
    condition     = contains([2, 3], length(distinct(var.zones))) && alltrue([for letter in var.zones : can(regex("^[a-f]$", letter))])
    error_message = "zones must be two or three letters of the region's zones, such as [\"a\", \"b\"]."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own, so that the loss of one zone leaves the others their way out."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "AWS services that are reached without the NAT gateway, such as ecr.dkr; S3 always is, at no cost."
  type        = set(string)
  default     = []
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the flow log."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which the flow log is kept."
  type        = number
  default     = 365
}
