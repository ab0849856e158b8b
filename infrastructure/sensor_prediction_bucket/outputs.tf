output "name" {
  description = "Name of the bucket."
  value       = module.bucket.name
}

output "arn" {
  description = "ARN of the bucket."
  value       = module.bucket.arn
}

output "read_statements" {
  description = "Statements of an IAM policy that let its role list and read the bucket, and nothing else."
  value       = module.bucket.read_statements
}

output "write_statements" {
  description = "Statements of an IAM policy that let its role list, read, write and delete; versions stay."
  value       = module.bucket.write_statements
}
