output "execution_role_arn" {
  description = "ARN of the role of pipeline and jobs."
  value       = aws_iam_role.execution.arn
}

output "model_package_group" {
  description = "Name of the group that models are registered in."
  value       = var.name
}

output "pipeline_name" {
  description = "Name under which the training pipeline is deployed, and which the schedule starts."
  value       = local.pipeline
}

output "pipeline_arn" {
  description = "ARN that the training pipeline has once it is deployed."
  value       = local.pipeline_arn
}

output "security_group_id" {
  description = "Id of the security group that jobs run in."
  value       = aws_security_group.jobs.id
}

output "missed_queue_name" {
  description = "Name of the queue of starts that failed for good."
  value       = aws_sqs_queue.missed.name
}

output "use_statements" {
  description = "Statements of an IAM policy that let its role start training, look up models, and read what comparisons of endpoints found."
  value       = local.use_statements
}

output "set_up_statements" {
  description = "Statements of an IAM policy that let its role approve models, make batches, endpoints and their monitoring, and delete them."
  value       = local.set_up_statements
}
