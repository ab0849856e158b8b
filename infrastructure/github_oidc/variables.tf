variable "repository" {
  description = "This repository on GitHub, as OWNER/NAME."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be OWNER/NAME, such as example/faultwatch, without https:// and without *."
  }
}

variable "provider_arn" {
  description = "ARN of the account's identity provider for GitHub, where it has one: AWS takes one an account. Null makes it."
  type        = string
  default     = null
}

variable "roles" {
  description = "Roles by name: what each may do (statements), and which GitHub environments of this repository may assume it beside the branch main; those must be limited to main on GitHub."
  type = map(object({
    environments = optional(set(string), [])
    statements = list(object({
      Effect    = string
      Action    = list(string)
      Resource  = list(string)
      Condition = optional(map(map(list(string))))
    }))
  }))

  validation {
    condition = alltrue(flatten([
      for role in var.roles : [for statement in role.statements : !(contains(statement.Action, "*") && contains(statement.Resource, "*"))]
    ]))
    error_message = "A statement of roles allows every action on everything; name the actions."
  }

  validation {
    condition     = alltrue(flatten([for role in var.roles : [for name in role.environments : can(regex("^[A-Za-z0-9_-]+$", name))]]))
    error_message = "environments must be names of letters, digits, _ and -; a wildcard would let other branches in."
  }
}

variable "session_hours" {
  description = "Hours for which a job's keys are valid."
  type        = number
  default     = 1

  validation {
    condition     = var.session_hours >= 1 && var.session_hours <= 12
    error_message = "session_hours must be 1 to 12."
  }
}
