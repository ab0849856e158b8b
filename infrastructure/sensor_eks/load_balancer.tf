# Rights of the AWS Load Balancer Controller, which makes a load balancer of an Ingress: it looks at everything it must,
# makes what carries this cluster's tag, and changes nothing that doesn't.
locals {
  cluster_tag = "elbv2.k8s.aws/cluster"
  asks_for_it = { StringEquals = { "aws:RequestTag/${local.cluster_tag}" = var.name } }
  carries_it  = { StringEquals = { "aws:ResourceTag/${local.cluster_tag}" = var.name } }
  balancing   = "arn:${data.aws_partition.current.partition}:elasticloadbalancing:*:*"

  ec2 = "arn:${data.aws_partition.current.partition}:ec2:*:*"

  balancer_arns = [
    for kind in ["loadbalancer/app", "loadbalancer/net", "listener/app", "listener/net", "listener-rule/app", "listener-rule/net", "targetgroup"] :
    "${local.balancing}:${kind}/*"
  ]
}

resource "aws_iam_role_policy" "load_balancer" {
  #checkov:skip=CKV_AWS_289:Rules of security groups are changed only where the group carries this cluster's tag
  #checkov:skip=CKV_AWS_290:What has to be made can't be named before; it must carry this cluster's tag
  #checkov:skip=CKV_AWS_355:Calls that only look know no resource
  name = "load-balancers"
  role = aws_iam_role.pods["load-balancer"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "acm:DescribeCertificate", "acm:ListCertificates",
          "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones", "ec2:DescribeCoipPools",
          "ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections",
          "ec2:DescribeVpcs", "ec2:GetCoipPoolUsage", "ec2:GetSecurityGroupsForVpc", "elasticloadbalancing:Describe*",
        ]
        Resource = ["*"]
      },
      {
        Sid       = "MakeWhatCarriesTheTag"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
        Resource  = ["*"]
        Condition = local.asks_for_it
      },
      {
        Sid       = "PartsOfWhatCarriesTheTag"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule"]
        Resource  = local.balancer_arns
        Condition = local.carries_it
      },
      {
        Sid       = "TagWhatIsBeingMade"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:AddTags"]
        Resource  = local.balancer_arns
        Condition = merge(local.asks_for_it, { StringLike = { "elasticloadbalancing:CreateAction" = "*" } })
      },
      {
        Sid    = "ChangeWhatCarriesTheTag"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes",
          "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RegisterTargets",
          "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
          "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
        ]
        Resource  = local.balancer_arns
        Condition = local.carries_it
      },
      {
        Sid      = "MakeSecurityGroupsInANetwork"
        Effect   = "Allow"
        Action   = ["ec2:CreateSecurityGroup"]
        Resource = ["${local.ec2}:vpc/*"]
      },
      {
        Sid       = "MakeSecurityGroupsThatCarryTheTag"
        Effect    = "Allow"
        Action    = ["ec2:CreateSecurityGroup"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = local.asks_for_it
      },
      {
        Sid       = "TagSecurityGroupsBeingMade"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = { StringEquals = { "aws:RequestTag/${local.cluster_tag}" = var.name, "ec2:CreateAction" = "CreateSecurityGroup" } }
      },
      {
        Sid       = "ChangeSecurityGroupsThatCarryTheTag"
        Effect    = "Allow"
        Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:RevokeSecurityGroupIngress"]
        Resource  = ["${local.ec2}:security-group/*"]
        Condition = local.carries_it
      },
      {
        Sid      = "LetBalancersReachThePods"
        Effect   = "Allow"
        Action   = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
        Resource = ["${local.ec2}:security-group/${aws_eks_cluster.this.vpc_config[0].cluster_security_group_id}"]
      },
    ]
  })
}

resource "aws_eks_pod_identity_association" "load_balancer" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = "aws-load-balancer-controller"
  role_arn        = aws_iam_role.pods["load-balancer"].arn
}
