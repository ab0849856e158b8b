output "role_arns" {
  description = "ARN of each role, which a workflow names in `role-to-assume`."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}

output "provider_arn" {
  description = "ARN of the identity provider, for a second environment in the same account."
  value       = local.provider_arn
}
