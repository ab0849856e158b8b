mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                   = "faultwatch-test"
  subnet_ids             = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  kms_key_arn            = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  api_security_group_ids = { runner = "sg-0fedcba9876543210" }
  admin_principal_arns   = ["arn:aws:iam::123456789012:role/admin"]
  deployers              = { github = "arn:aws:iam::123456789012:role/deploy" }
  workload_statements    = [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::bucket/*"] }]
  secret_arns            = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:database"]
  nodes                  = { instance_types = ["t4g.large"], architecture = "arm64", disk_gib = 40, min = 2, max = 3 }
}

run "the_api_is_private_logged_and_encrypted" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  assert {
    condition     = one(aws_eks_cluster.this.vpc_config).endpoint_private_access && !one(aws_eks_cluster.this.vpc_config).endpoint_public_access
    error_message = "Unasked, the API is on the internet."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && aws_cloudwatch_log_group.control_plane.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    error_message = "A log of the control plane is off or readable."
  }

  assert {
    condition     = one(aws_eks_cluster.this.encryption_config).resources == toset(["secrets"]) && one(one(aws_eks_cluster.this.encryption_config).provider).key_arn == "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    error_message = "Kubernetes' secrets are not encrypted with the environment's key."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.api) == ["runner"] && aws_vpc_security_group_ingress_rule.api["runner"].from_port == 443
    error_message = "Who was not named reaches the API, or who was named does not."
  }

  assert {
    condition     = one(aws_eks_cluster.this.upgrade_policy).support_type == "STANDARD"
    error_message = "Extended support would be paid for unasked."
  }
}

run "access_is_by_iam_and_named" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  assert {
    condition     = one(aws_eks_cluster.this.access_config).authentication_mode == "API" && !one(aws_eks_cluster.this.access_config).bootstrap_cluster_creator_admin_permissions
    error_message = "Who made the cluster would rule it for good."
  }

  assert {
    condition     = one(aws_eks_access_policy_association.deployer["github"].access_scope).type == "namespace" && one(aws_eks_access_policy_association.deployer["github"].access_scope).namespaces == toset(["faultwatch"])
    error_message = "The deployer reaches beyond its namespace."
  }

  assert {
    condition     = one(aws_eks_access_policy_association.admin["arn:aws:iam::123456789012:role/admin"].access_scope).type == "cluster"
    error_message = "The administrator does not reach the cluster."
  }
}

run "nodes_keep_their_role_to_themselves" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  assert {
    condition     = one(aws_launch_template.node.metadata_options).http_tokens == "required" && one(aws_launch_template.node.metadata_options).http_put_response_hop_limit == 1
    error_message = "A pod could ask for the node's role."
  }

  assert {
    condition     = one(one(aws_launch_template.node.block_device_mappings).ebs).encrypted == "true" && aws_ebs_encryption_by_default.this.enabled
    error_message = "A disk of a node or a volume of a pod is not encrypted."
  }

  assert {
    condition     = aws_eks_node_group.this.ami_type == "AL2023_ARM_64_STANDARD" && length(aws_eks_node_group.this.remote_access) == 0 && one(aws_eks_node_group.this.scaling_config).max_size == 3
    error_message = "Nodes are of another architecture, take SSH, or may be more than was said."
  }

  assert {
    condition     = one(aws_eks_node_group.this.launch_template).id == aws_launch_template.node.id
    error_message = "Nodes are not made from the template."
  }
}

run "pods_have_rights_of_their_own" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  assert {
    condition = {
      for association in [aws_eks_pod_identity_association.workload, aws_eks_pod_identity_association.secrets, aws_eks_pod_identity_association.load_balancer] :
      association.namespace => association.service_account
    } == { faultwatch = "faultwatch", external-secrets = "external-secrets", kube-system = "aws-load-balancer-controller" }
    error_message = "A service account is without its rights."
  }

  assert {
    condition = alltrue([
      for role in aws_iam_role.pods : jsondecode(role.assume_role_policy).Statement[0].Principal == { Service = "pods.eks.amazonaws.com" }
    ])
    error_message = "A pod's role can be assumed by something else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.workload.policy).Statement == [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::bucket/*"] }]
    error_message = "faultwatch's pods may do other than what was said."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.secrets.policy).Statement[0].Resource == [
      "arn:aws:secretsmanager:eu-central-1:123456789012:secret:secret", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database",
    ]
    error_message = "External Secrets reads other secrets than faultwatch's."
  }

  assert {
    condition = setunion(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.after_nodes)) == toset([
      "amazon-cloudwatch-observability", "aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni",
    ])
    error_message = "A part of the cluster is missing."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "The chart's NetworkPolicy would be ignored."
  }
}

run "load_balancers_of_others_are_left_alone" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.load_balancer.policy).Statement :
      contains(["Look", "MakeSecurityGroupsInANetwork", "LetBalancersReachThePods"], statement.Sid) ||
      try(statement.Condition.StringEquals["aws:RequestTag/elbv2.k8s.aws/cluster"], statement.Condition.StringEquals["aws:ResourceTag/elbv2.k8s.aws/cluster"], "nothing") == "faultwatch-test"
    ])
    error_message = "A statement changes what does not carry this cluster's tag."
  }

  assert {
    condition = alltrue([
      for action in jsondecode(aws_iam_role_policy.load_balancer.policy).Statement[0].Action : can(regex(":(Describe|Get|List)", action))
    ])
    error_message = "What is allowed on everything does more than look."
  }
}

run "the_api_on_the_internet_for_named_networks" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = one(aws_eks_cluster.this.vpc_config).public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "The API is open to other networks than those named."
  }
}

run "the_api_for_the_whole_internet_is_refused" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "no_room_to_update_nodes_is_refused" {
  command = plan

  module {
    source = "./sensor_eks"
  }

  variables {
    nodes = { instance_types = ["t4g.large"], architecture = "arm64", disk_gib = 40, min = 2, max = 2 }
  }

  expect_failures = [var.nodes]
}
