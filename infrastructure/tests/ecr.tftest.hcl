mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "faultwatch-test"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "a_tag_is_never_moved_and_every_image_is_scanned" {
  command = plan

  module {
    source = "./sensor_ecr"
  }

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE"
    error_message = "A tag could come to mean another image."
  }

  assert {
    condition     = one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
    error_message = "Images are not scanned."
  }

  assert {
    condition     = one(aws_ecr_repository.this.encryption_configuration) == { encryption_type = "KMS", kms_key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
    error_message = "Images are not encrypted with the environment's key."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this.policy).rules[1].selection.countNumber == 50 && !aws_ecr_repository.this.force_delete
    error_message = "Old images stay for good, or the repository goes with its images."
  }
}

run "keeping_no_image_to_roll_back_to_is_refused" {
  command = plan

  module {
    source = "./sensor_ecr"
  }

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}
