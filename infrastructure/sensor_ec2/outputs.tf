output "security_group_id" {
  description = "Id of the runners' security group."
  value       = aws_security_group.this.id
}

output "group_name" {
  description = "Name of the autoscaling group that a workflow raises by one before a job that runs here."
  value       = aws_autoscaling_group.this.name
}

output "start_statements" {
  description = "Statements of an IAM policy that let its role start runners, and nothing else."
  value = [
    { Effect = "Allow", Action = ["autoscaling:DescribeAutoScalingGroups"], Resource = ["*"] },
    { Effect = "Allow", Action = ["autoscaling:SetDesiredCapacity"], Resource = [local.group_arn] },
  ]
}

output "secret_arn" {
  description = "ARN of the secret that the GitHub App's key is put into."
  value       = aws_secretsmanager_secret.app.arn
}

output "label" {
  description = "Label by which a job asks for this runner in `runs-on`."
  value       = local.settings.LABEL
}
