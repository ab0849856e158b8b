data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

module "github_oidc" {
  source = "../github_oidc"

  repository   = var.repository
  provider_arn = var.github_provider_arn

  roles = merge(
    {
      "${var.name}-push" = {
        environments = []
        statements   = local.push_statements
      }
      "${var.name}-deploy" = {
        environments = [var.github_environment]
        statements = concat(
          local.pipeline_statements,
          module.model_bucket.write_statements,
          module.runner.start_statements,
          [{ Effect = "Allow", Action = ["eks:DescribeCluster"], Resource = [local.cluster_arn] }],
        )
      }
    },
    { for name, role in local.terraform_roles : name => role if var.state_bucket != null },
  )
}

locals {
  # By its name: the cluster itself needs the role, which lets its jobs in.
  cluster_arn = join(":", [
    "arn:${data.aws_partition.current.partition}:eks:${data.aws_region.current.name}",
    "${data.aws_caller_identity.current.account_id}:cluster/${var.name}",
  ])

  push_statements = [
    {
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImageScanFindings",
        "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      Resource = [module.ecr.arn]
    },
    { Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
  ]

  pipeline_statements = [
    {
      Effect = "Allow"
      Action = [
        "sagemaker:CreatePipeline", "sagemaker:DescribePipeline", "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution", "sagemaker:UpdatePipeline",
      ]
      Resource = [module.sagemaker.pipeline_arn, "${module.sagemaker.pipeline_arn}/execution/*"]
    },
    {
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = [module.sagemaker.execution_role_arn]
      Condition = { StringEquals = { "iam:PassedToService" = ["sagemaker.amazonaws.com"] } }
    },
  ]
}
