output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "security_group_id" {
  description = "Id of the security group that nodes, and so pods, are in."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "namespace" {
  description = "Namespace that faultwatch runs in."
  value       = var.namespace
}

output "service_account" {
  description = "Service account whose pods have faultwatch's rights."
  value       = var.service_account
}

output "pod_log_group" {
  description = "Name of the log group that pods' logs go to."
  value       = aws_cloudwatch_log_group.pods.name
}

output "secret_arn" {
  description = "ARN of the secret that the key of faultwatch is put into."
  value       = aws_secretsmanager_secret.key.arn
}
