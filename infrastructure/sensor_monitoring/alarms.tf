# What somebody has to look at, how long it must last, and what to do. `missing` says what no data means.
locals {
  database = { DBInstanceIdentifier = var.database_identifier }
  cluster  = { ClusterName = var.cluster_name }
  gib      = 1024 * 1024 * 1024

  alarms = { for key, alarm in merge(local.fixed_alarms, local.nat_alarms) : key => merge(
    { above = null, below = null, missing = "notBreaching", statistic = "Average" }, alarm
  ) }

  fixed_alarms = {
    database-processor = {
      description = "The database's processor has been busy for 15 minutes: look at Performance Insights, or take a larger instance_class."
      namespace   = "AWS/RDS", metric = "CPUUtilization", dimensions = local.database, above = 80, minutes = 15
    }
    database-memory = {
      description = "The database has less than 100 MiB of memory left: take a larger instance_class."
      namespace   = "AWS/RDS", metric = "FreeableMemory", dimensions = local.database, below = 100 * 1024 * 1024, minutes = 15
    }
    database-storage = {
      description = "The database has less than a tenth of its storage left: raise max_storage_gib."
      namespace   = "AWS/RDS", metric = "FreeStorageSpace", dimensions = local.database, below = var.database_storage_gib * local.gib / 10
      minutes     = 15, missing = "breaching"
    }
    cluster-nodes = {
      description = "A node of the cluster is not ready: see `kubectl describe nodes`; AWS replaces it if it stays so."
      namespace   = "ContainerInsights", metric = "cluster_failed_node_count", dimensions = local.cluster, above = 0, minutes = 10
      statistic   = "Maximum"
    }
    cluster-disk = {
      description = "A node's disk is four fifths full: raise disk_gib of the nodes."
      namespace   = "ContainerInsights", metric = "node_filesystem_utilization", dimensions = local.cluster, above = 80, minutes = 15
      statistic   = "Maximum"
    }
    pods = {
      description = "No pod of faultwatch runs: nobody is told of faults. See `kubectl -n ${var.namespace} get pods`. It is like this until the first deployment."
      namespace   = "ContainerInsights", metric = "namespace_number_of_running_pods"
      dimensions  = merge(local.cluster, { Namespace = var.namespace }), below = 1, minutes = 10, missing = "breaching"
    }
    errors = {
      description = "faultwatch logged errors in three periods of five minutes in a row: search ${var.pod_log_group} for level error."
      namespace   = var.name, metric = "errors", dimensions = {}, above = 0, minutes = 15, statistic = "Sum"
    }
    runner-left-on = {
      description = "A runner has run for longer than it should: end it with `aws autoscaling set-desired-capacity --desired-capacity 0`."
      namespace   = "AWS/AutoScaling", metric = "GroupInServiceInstances", dimensions = { AutoScalingGroupName = var.runner_group_name }
      above       = 0, minutes = var.runner_hours * 60 + 30, statistic = "Minimum"
    }
    training-failed = {
      description = "A run of the training pipeline failed: its page in SageMaker says at which step, and why. The model that serves stays."
      namespace   = "AWS/Sagemaker/ModelBuildingPipeline", metric = "ExecutionFailed", dimensions = { PipelineName = var.pipeline_name }
      above       = 0, minutes = 5, statistic = "Sum"
    }
    training-missed = {
      description = "The training pipeline could not be started: the message in ${var.missed_queue_name} says why."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.missed_queue_name }
      above       = 0, minutes = 5, statistic = "Maximum"
    }
  }

  nat_alarms = { for key, id in var.nat_gateway_ids : "nat-${key}" => {
    description = "A NAT gateway has no ports left: connections to AWS or GitHub fail. Name the busiest service in interface_endpoints."
    namespace   = "AWS/NATGateway", metric = "ErrorPortAllocation", dimensions = { NatGatewayId = id }, above = 0, minutes = 15, statistic = "Sum"
  } }
}
