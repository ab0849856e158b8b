# Nothing alone in its zone, and nothing that holds data can be deleted by mistake.
module "faultwatch" {
  source = "../../faultwatch"

  name                 = "faultwatch-prod"
  repository           = var.repository
  github_environment   = "prod"
  state_bucket         = var.state_bucket
  github_provider_arn  = var.github_provider_arn
  admin_principal_arns = var.admin_principal_arns
  emails               = var.emails
  monthly_budget_usd   = var.monthly_budget_usd
  log_retention_days   = 365
  keep_data            = true

  network = {
    zones               = ["a", "b", "c"]
    nat_per_zone        = true
    interface_endpoints = ["ecr.api", "ecr.dkr", "logs", "sts"]
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs

    nodes = {
      instance_types = ["m7g.large", "m6g.large"]
      architecture   = "arm64"
      disk_gib       = 80
      min            = 3
      max            = 6
    }
  }

  database = {
    instance_class  = "db.m7g.large"
    storage_gib     = 50
    max_storage_gib = 500
    multi_az        = true
    backup_days     = 30
  }

  training = { schedule_enabled = var.training_enabled }
}
