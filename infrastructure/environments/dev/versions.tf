terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket and region are named at `terraform init`, since no two accounts share them.
  backend "s3" {
    key          = "faultwatch-dev/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = "faultwatch"
      Environment = "dev"
      ManagedBy   = "terraform"
    }
  }
}
