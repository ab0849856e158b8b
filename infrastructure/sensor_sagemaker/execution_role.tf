# The role of pipeline and jobs.
resource "aws_iam_role" "execution" {
  name = "${var.name}-sagemaker"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Condition = local.only_this_one
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken, ec2:Describe* and cloudwatch:PutMetricData know no resource; metrics are limited to a namespace
  #checkov:skip=CKV_AWS_290:As above, and network interfaces are limited to those that SageMaker makes in this VPC
  name = "pipeline"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in var.data_statements : { for key, value in statement : key => value if value != null }],
      [
        {
          Sid    = "Jobs"
          Effect = "Allow"
          Action = [
            "sagemaker:AddTags",
            "sagemaker:CreateModel",
            "sagemaker:CreateProcessingJob",
            "sagemaker:CreateTrainingJob",
            "sagemaker:CreateTransformJob",
            "sagemaker:DescribeModel",
            "sagemaker:DescribeProcessingJob",
            "sagemaker:DescribeTrainingJob",
            "sagemaker:DescribeTransformJob",
            "sagemaker:ListTags",
            "sagemaker:StopProcessingJob",
            "sagemaker:StopTrainingJob",
            "sagemaker:StopTransformJob",
          ]
          Resource = [for kind in ["model", "processing-job", "training-job", "transform-job"] : "${local.arn}:sagemaker:${local.place}:${kind}/*"]
        },
        {
          Sid    = "Register"
          Effect = "Allow"
          Action = ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage"]
          Resource = [
            local.group_arn,
            "${local.arn}:sagemaker:${local.place}:model-package/${var.name}/*",
          ]
        },
        {
          Sid       = "HandJobsThisRole"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = [aws_iam_role.execution.arn]
          Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
        },
        {
          Sid      = "PullTheImage"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [var.image_repository_arn]
        },
        {
          Sid      = "SignInToPull"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"]
        },
        {
          Sid      = "ReadTheDatabasesSecret"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = [var.database_secret_arn]
        },
        {
          Sid       = "DecryptIt"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = [var.kms_key_arn]
          Condition = { StringEquals = { "kms:EncryptionContext:SecretARN" = var.database_secret_arn } }
        },
        {
          Sid      = "Logs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = ["${local.arn}:logs:${local.place}:log-group:/aws/sagemaker/*"]
        },
        {
          Sid       = "Metrics"
          Effect    = "Allow"
          Action    = ["cloudwatch:PutMetricData"]
          Resource  = ["*"]
          Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "aws/sagemaker/*", "faultwatch"] } }
        },
        {
          Sid    = "LookAtTheNetwork"
          Effect = "Allow"
          Action = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]

          Resource = ["*"]
        },
        {
          Sid    = "JoinTheNetwork"
          Effect = "Allow"
          Action = ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"]
          Resource = [
            "${local.arn}:ec2:${local.place}:network-interface/*",
            "${local.arn}:ec2:${local.place}:security-group/${aws_security_group.jobs.id}",
            "${local.arn}:ec2:${local.place}:subnet/*",
          ]
        },
        {
          Sid       = "EncryptDisksAndOutputs"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
          Resource  = [var.kms_key_arn]
          Condition = { StringLike = { "kms:ViaService" = ["ec2.*.amazonaws.com", "s3.*.amazonaws.com", "sagemaker.*.amazonaws.com"] } }
        },
        {
          Sid       = "LendTheKeyToDisks"
          Effect    = "Allow"
          Action    = ["kms:CreateGrant"]
          Resource  = [var.kms_key_arn]
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
      ],
    )
  })
}
