# What GitHub's jobs need to plan and to apply this configuration. Who may apply may, in the end, do anything in the
# account: the role is for main alone, and GitHub asks a reviewer first.
locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  state_arn = "arn:${local.partition}:s3:::${coalesce(var.state_bucket, "none")}"

  terraform_roles = {
    "${var.name}-plan" = {
      environments = ["plan-${var.github_environment}"]
      statements   = concat(local.state_statements, local.look_statements)
    }
    "${var.name}-apply" = {
      environments = ["infrastructure-${var.github_environment}"]
      statements   = concat(local.state_statements, local.look_statements, local.change_statements)
    }
  }

  state_statements = [
    { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.state_arn] },
    {
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = ["${local.state_arn}/${var.name}/terraform.tfstate", "${local.state_arn}/${var.name}/terraform.tfstate.tflock"]
    },
  ]

  services = ["autoscaling", "budgets", "cloudwatch", "ec2", "ecr", "eks", "kms", "logs", "rds", "sagemaker", "scheduler", "secretsmanager", "sns", "sqs"]

  # Settings of everything, but no object, no message and no secret's value.
  look_statements = [
    {
      Effect = "Allow"
      Action = concat(
        [for service in local.services : "${service}:Describe*"],
        [for service in local.services : "${service}:List*"],
        [
          "budgets:ViewBudget", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ec2:GetEbsEncryptionByDefault",
          "iam:GetInstanceProfile", "iam:GetOpenIDConnectProvider", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole",
          "iam:GetRolePolicy", "iam:List*",
          "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "scheduler:GetSchedule", "secretsmanager:GetResourcePolicy", "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes",
          "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
        ],
      )
      Resource = ["*"]
    },
    {
      Effect = "Allow"
      Action = [
        "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration", "s3:ListBucket",
      ]
      Resource = ["arn:${local.partition}:s3:::${var.name}-*"]
    },
  ]

  change_statements = [
    {
      Effect    = "Allow"
      Action    = [for service in local.services : "${service}:*"]
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestedRegion" = [data.aws_region.current.name, "us-east-1"] } }
    },
    {
      Effect   = "Allow"
      Action   = ["s3:CreateBucket", "s3:DeleteBucket*", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"]
      Resource = ["arn:${local.partition}:s3:::${var.name}-*"]
    },
    {
      Effect = "Allow"
      Action = [
        "iam:AddRoleToInstanceProfile", "iam:AttachRolePolicy", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:DeleteInstanceProfile",
        "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PassRole", "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile",
        "iam:TagInstanceProfile", "iam:TagRole", "iam:UntagInstanceProfile", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
      ]
      Resource = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-*", "arn:${local.partition}:iam::${local.account}:instance-profile/${var.name}-*"]
    },
    {
      Effect   = "Allow"
      Action   = ["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:TagPolicy", "iam:UntagPolicy"]
      Resource = ["arn:${local.partition}:iam::${local.account}:policy/${var.name}-*"]
    },
    {
      Effect   = "Allow"
      Action   = ["iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:TagOpenIDConnectProvider", "iam:UpdateOpenIDConnectProviderThumbprint"]
      Resource = ["arn:${local.partition}:iam::${local.account}:oidc-provider/token.actions.githubusercontent.com"]
    },
    {
      Effect    = "Allow"
      Action    = ["iam:CreateServiceLinkedRole"]
      Resource  = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/*"]
      Condition = { StringLike = { "iam:AWSServiceName" = ["*.amazonaws.com"] } }
    },
  ]
}
