# AWS's own parts of the cluster. A node is ready only once the network of its pods is, so three come before the nodes.
resource "aws_eks_addon" "before_nodes" {
  for_each = toset(["eks-pod-identity-agent", "kube-proxy", "vpc-cni"])

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  configuration_values = each.value == "vpc-cni" ? jsonencode({ enableNetworkPolicy = "true" }) : null

  dynamic "pod_identity_association" {
    for_each = each.value == "vpc-cni" ? [1] : []

    content {
      service_account = "aws-node"
      role_arn        = aws_iam_role.pods["vpc-cni"].arn
    }
  }

  depends_on = [aws_iam_role_policy_attachment.pods]
}

resource "aws_eks_addon" "after_nodes" {
  for_each = {
    "amazon-cloudwatch-observability" = "cloudwatch-agent"
    "aws-ebs-csi-driver"              = "ebs-csi-controller-sa"
    "coredns"                         = null
    "metrics-server"                  = null
  }

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  configuration_values = each.key == "aws-ebs-csi-driver" ? jsonencode({ defaultStorageClass = { enabled = true } }) : null

  dynamic "pod_identity_association" {
    for_each = each.value[*]

    content {
      service_account = pod_identity_association.value
      role_arn        = aws_iam_role.pods[each.key].arn
    }
  }

  depends_on = [aws_eks_node_group.this, aws_iam_role_policy_attachment.pods]
}

# Made here so that it is encrypted and ends; the agent would make it for ever.
resource "aws_cloudwatch_log_group" "pods" {
  name              = "/aws/containerinsights/${var.name}/application"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

# Volumes of pods are encrypted because all of the account's are, in this region.
resource "aws_ebs_encryption_by_default" "this" {
  enabled = true
}
