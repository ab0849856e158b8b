variable "name" {
  description = "Name of the repository of images, such as faultwatch-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._/-]{1,255}$", var.name))
    error_message = "name must be 2 to 256 small letters, digits and . _ / -, beginning with a letter or digit."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the images."
  type        = string
}

variable "keep_images" {
  description = "How many images with a tag are kept, newest first; older ones are deleted."
  type        = number
  default     = 50

  validation {
    condition     = var.keep_images >= 2
    error_message = "keep_images must be 2 or more: a rollback needs the image before the newest."
  }
}

variable "force_delete" {
  description = "Whether `terraform destroy` may delete the repository with images in it."
  type        = bool
  default     = false
}
