mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "faultwatch-test"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "every_bucket_is_closed_and_kept" {
  command = plan

  module {
    source = "./bucket"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "The public could get in."
  }

  assert {
    condition     = one(aws_s3_bucket_versioning.this.versioning_configuration).status == "Enabled"
    error_message = "What is overwritten is lost."
  }

  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default) == {
      sse_algorithm = "aws:kms", kms_master_key_id = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    }
    error_message = "Objects are not encrypted with the environment's key."
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "Access lists of objects count beside the policy."
  }

  assert {
    condition = alltrue([
      for sid in ["TlsOnly", "NoOldTls", "NoOtherEncryption"] :
      one([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement if statement.Sid == sid]).Effect == "Deny"
    ])
    error_message = "The policy lets in what is not by TLS 1.2, or what is encrypted otherwise."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Effect == "Deny"])
    error_message = "The bucket's policy lets somebody in; rights belong to roles."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false && length(aws_s3_bucket_lifecycle_configuration.this.rule) == 1
    error_message = "Unless asked for, nothing expires and no bucket with objects is deleted."
  }
}

run "who_reads_can_not_write" {
  command = plan

  module {
    source = "./bucket"
  }

  assert {
    condition     = length(setintersection(flatten([for statement in output.read_statements : statement.Action]), ["s3:PutObject", "s3:DeleteObject", "kms:GenerateDataKey"])) == 0
    error_message = "read_statements let their role write."
  }

  assert {
    condition     = !contains(flatten([for statement in output.write_statements : statement.Action]), "s3:DeleteObjectVersion")
    error_message = "write_statements let their role delete versions, so nothing could be brought back."
  }
}

run "models_stay" {
  command = plan

  module {
    source = "./sensor_model_bucket"
  }

  assert {
    condition     = output.name == "faultwatch-test-models-123456789012"
    error_message = "The bucket's name must hold the account's id: names are shared by all accounts."
  }
}

run "predictions_expire" {
  command = plan

  module {
    source = "./sensor_prediction_bucket"
  }

  assert {
    condition     = output.name == "faultwatch-test-predictions-123456789012"
    error_message = "The bucket's name must hold the account's id: names are shared by all accounts."
  }
}

run "readings_become_cheaper" {
  command = plan

  module {
    source = "./sensor_telemetry_bucket"
  }

  assert {
    condition     = output.name == "faultwatch-test-telemetry-123456789012"
    error_message = "The bucket's name must hold the account's id: names are shared by all accounts."
  }
}

run "rules_of_age_are_made" {
  command = plan

  module {
    source = "./bucket"
  }

  variables {
    expire_days              = 180
    intelligent_tiering_days = 30
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => one(concat([for it in rule.expiration : it.days], [for it in rule.transition : it.days], [for it in rule.noncurrent_version_expiration : it.noncurrent_days]))
    } == { leftovers = 30, cheaper = 30, expire = 180 }
    error_message = "The rules do not say what was asked for."
  }
}

run "a_name_s3_would_refuse_is_refused" {
  command = plan

  module {
    source = "./bucket"
  }

  variables {
    name = "Faultwatch_Models"
  }

  expect_failures = [var.name]
}
