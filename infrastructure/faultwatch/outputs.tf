output "image_repository_url" {
  description = "Address that images are pushed to and pulled from."
  value       = module.ecr.url
}

output "role_arns" {
  description = "ARNs of the roles that GitHub's jobs assume, by what they are for: push, deploy, and with state_bucket plan and apply."
  value       = { for name, arn in module.github_oidc.role_arns : trimprefix(name, "${var.name}-") => arn }
}

output "cluster_name" {
  description = "Name of the EKS cluster."
  value       = module.eks.name
}

output "namespace" {
  description = "Namespace that faultwatch runs in."
  value       = module.eks.namespace
}

output "service_account" {
  description = "Service account whose pods have faultwatch's rights."
  value       = module.eks.service_account
}

output "secret_arn" {
  description = "ARN of the secret that the key of faultwatch is put into."
  value       = module.eks.secret_arn
}

output "database_endpoint" {
  description = "Address and port of the fleet database."
  value       = module.database.endpoint
}

output "database_secret_arn" {
  description = "ARN of the secret with the database's user and password."
  value       = module.database.secret_arn
}

output "buckets" {
  description = "Names of the buckets: models, predictions, telemetry."
  value = {
    models      = module.model_bucket.name
    predictions = module.prediction_bucket.name
    telemetry   = module.telemetry_bucket.name
  }
}

output "sagemaker" {
  description = "What the training pipeline is deployed with: role, key, model package group, name, and the network of its jobs."
  value = {
    execution_role_arn  = module.sagemaker.execution_role_arn
    kms_key_arn         = module.key.arn
    model_package_group = module.sagemaker.model_package_group
    pipeline_name       = module.sagemaker.pipeline_name
    security_group_id   = module.sagemaker.security_group_id
    subnet_ids          = module.network.private_subnet_ids
  }
}

output "operator_policy_arn" {
  description = "ARN of the policy that lets people train, approve, serve and watch models by hand, for the roles that they sign in with."
  value       = aws_iam_policy.operator.arn
}

output "runner" {
  description = "The self-hosted runner: the group that a workflow raises, the label of its jobs, and the secret of its GitHub App."
  value = {
    group_name = module.runner.group_name
    label      = module.runner.label
    secret_arn = module.runner.secret_arn
  }
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms are sent to."
  value       = module.monitoring.topic_arn
}
