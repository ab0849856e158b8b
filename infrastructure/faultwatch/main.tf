locals {
  secret_recovery_days = var.keep_data ? 30 : 0
  runner_hours         = 2
}

module "key" {
  source = "../sensor_key"

  name                 = var.name
  deletion_window_days = var.keep_data ? 30 : 7
}

module "network" {
  source = "../sensor_network"

  name                = var.name
  cidr                = var.network.cidr
  zones               = var.network.zones
  nat_per_zone        = var.network.nat_per_zone
  interface_endpoints = var.network.interface_endpoints
  kms_key_arn         = module.key.arn
  log_retention_days  = var.log_retention_days
}

module "ecr" {
  source = "../sensor_ecr"

  name         = var.name
  kms_key_arn  = module.key.arn
  force_delete = !var.keep_data
}

module "model_bucket" {
  source = "../sensor_model_bucket"

  name          = var.name
  kms_key_arn   = module.key.arn
  force_destroy = !var.keep_data
}

module "prediction_bucket" {
  source = "../sensor_prediction_bucket"

  name          = var.name
  kms_key_arn   = module.key.arn
  force_destroy = !var.keep_data
}

module "telemetry_bucket" {
  source = "../sensor_telemetry_bucket"

  name          = var.name
  kms_key_arn   = module.key.arn
  force_destroy = !var.keep_data
}

module "runner" {
  source = "../sensor_ec2"

  name                 = var.name
  repository           = var.repository
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.private_subnet_ids
  kms_key_arn          = module.key.arn
  hours                = local.runner_hours
  secret_recovery_days = local.secret_recovery_days
}

module "eks" {
  source = "../sensor_eks"

  name                   = var.name
  kubernetes_version     = var.cluster.kubernetes_version
  subnet_ids             = module.network.private_subnet_ids
  kms_key_arn            = module.key.arn
  public_access_cidrs    = var.cluster.public_access_cidrs
  api_security_group_ids = { runner = module.runner.security_group_id }
  admin_principal_arns   = var.admin_principal_arns
  deployers              = { github = module.github_oidc.role_arns["${var.name}-deploy"] }
  nodes                  = var.cluster.nodes
  secret_arns            = [module.database.secret_arn]
  log_retention_days     = var.log_retention_days
  secret_recovery_days   = local.secret_recovery_days

  workload_statements = concat(
    module.telemetry_bucket.write_statements,
    module.prediction_bucket.write_statements,
    module.model_bucket.write_statements,
    module.sagemaker.use_statements,
  )
}

module "database" {
  source = "../sensor_database"

  name                      = var.name
  vpc_id                    = module.network.vpc_id
  subnet_ids                = module.network.database_subnet_ids
  client_security_group_ids = { cluster = module.eks.security_group_id, jobs = module.sagemaker.security_group_id }
  kms_key_arn               = module.key.arn
  instance_class            = var.database.instance_class
  storage_gib               = var.database.storage_gib
  max_storage_gib           = var.database.max_storage_gib
  multi_az                  = var.database.multi_az
  backup_days               = var.database.backup_days
  deletion_protection       = var.keep_data
  log_retention_days        = var.log_retention_days
}

module "sagemaker" {
  source = "../sensor_sagemaker"

  name                       = var.name
  vpc_id                     = module.network.vpc_id
  kms_key_arn                = module.key.arn
  image_repository_arn       = module.ecr.arn
  database_secret_arn        = module.database.secret_arn
  database_security_group_id = module.database.security_group_id
  schedule                   = var.training.schedule
  schedule_enabled           = var.training.schedule_enabled

  data_statements = concat(
    module.telemetry_bucket.read_statements,
    module.prediction_bucket.write_statements,
    module.model_bucket.write_statements,
  )
}

module "monitoring" {
  source = "../sensor_monitoring"

  name                 = var.name
  kms_key_arn          = module.key.arn
  emails               = var.emails
  monthly_budget_usd   = var.monthly_budget_usd
  database_identifier  = module.database.identifier
  database_storage_gib = var.database.max_storage_gib
  cluster_name         = module.eks.name
  namespace            = module.eks.namespace
  pod_log_group        = module.eks.pod_log_group
  nat_gateway_ids      = module.network.nat_gateway_ids
  runner_group_name    = module.runner.group_name
  runner_hours         = local.runner_hours
  missed_queue_name    = module.sagemaker.missed_queue_name
  pipeline_name        = module.sagemaker.pipeline_name
}
