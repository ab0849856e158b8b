mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                      = "faultwatch-test"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  client_security_group_ids = { cluster = "sg-0fedcba9876543210" }
  kms_key_arn               = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "encrypted_private_and_asked_by_its_clients_alone" {
  command = plan

  module {
    source = "./sensor_database"
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555" && !aws_db_instance.this.publicly_accessible
    error_message = "The database is readable on disk, or reachable from the internet."
  }

  assert {
    condition     = one([for parameter in aws_db_parameter_group.this.parameter : parameter.value if parameter.name == "rds.force_ssl"]) == "1"
    error_message = "Connections without TLS are taken."
  }

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.clients : name => "${rule.referenced_security_group_id} ${rule.from_port}" } == { cluster = "sg-0fedcba9876543210 5432" }
    error_message = "More than its clients may connect."
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "Terraform would see the master password."
  }

  assert {
    condition     = aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
    error_message = "Slow statements can't be found, or the database can be deleted by mistake."
  }

  assert {
    condition     = aws_db_parameter_group.this.family == "postgres17" && aws_db_instance.this.backup_retention_period == 14
    error_message = "The parameters are of another version, or backups are not kept for two weeks."
  }
}

run "what_can_be_destroyed_says_so" {
  command = plan

  module {
    source = "./sensor_database"
  }

  variables {
    deletion_protection = false
    multi_az            = true
  }

  assert {
    condition     = aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.multi_az
    error_message = "Without protection there is no last snapshot; multi_az must be what was asked for."
  }
}

run "storage_that_could_not_grow_is_refused" {
  command = plan

  module {
    source = "./sensor_database"
  }

  variables {
    storage_gib     = 100
    max_storage_gib = 110
  }

  expect_failures = [var.max_storage_gib]
}

run "one_zone_is_refused" {
  command = plan

  module {
    source = "./sensor_database"
  }

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [var.subnet_ids]
}
