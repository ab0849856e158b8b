# Rights of pods: a role for each service account, handed over by EKS Pod Identity; no pod uses the node's own.
locals {
  addon_policies = {
    "amazon-cloudwatch-observability" = "CloudWatchAgentServerPolicy"
    "aws-ebs-csi-driver"              = "service-role/AmazonEBSCSIDriverPolicy"
    "vpc-cni"                         = "AmazonEKS_CNI_Policy"
  }
}

resource "aws_iam_role" "pods" {
  for_each = toset(concat(keys(local.addon_policies), ["external-secrets", "load-balancer", "workload"]))

  name = "${var.name}-${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "pods" {
  for_each = local.addon_policies

  role       = aws_iam_role.pods[each.key].name
  policy_arn = "${local.policies}/${each.value}"
}

resource "aws_iam_role_policy" "workload" {
  name = "buckets"
  role = aws_iam_role.pods["workload"].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in var.workload_statements : { for key, value in statement : key => value if value != null }]
  })
}

resource "aws_eks_pod_identity_association" "workload" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.pods["workload"].arn
}
