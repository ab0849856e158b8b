# The smallest that runs everything; it can be destroyed with all that is in it.
module "faultwatch" {
  source = "../../faultwatch"

  name                 = "faultwatch-dev"
  repository           = var.repository
  github_environment   = "dev"
  state_bucket         = var.state_bucket
  github_provider_arn  = var.github_provider_arn
  admin_principal_arns = var.admin_principal_arns
  emails               = var.emails
  monthly_budget_usd   = var.monthly_budget_usd
  log_retention_days   = 30
  keep_data            = false

  network = {
    nat_per_zone        = false
    interface_endpoints = []
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs

    nodes = {
      instance_types = ["t4g.large", "m7g.large", "m6g.large"]
      architecture   = "arm64"
      disk_gib       = 40
      min            = 2
      max            = 3
    }
  }

  database = {
    instance_class  = "db.t4g.micro"
    storage_gib     = 20
    max_storage_gib = 50
    multi_az        = false
    backup_days     = 7
  }

  training = { schedule_enabled = var.training_enabled }
}
