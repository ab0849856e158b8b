mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "faultwatch-test"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "one_way_out_and_none_in" {
  command = plan

  module {
    source = "./sensor_network"
  }

  assert {
    condition     = length(aws_subnet.this) == 6 && alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch])
    error_message = "There must be three tiers in two zones, and no machine may get a public address by itself."
  }

  assert {
    condition     = length(distinct([for subnet in aws_subnet.this : subnet.cidr_block])) == 6
    error_message = "Subnets overlap."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && keys(aws_route.private) == ["private-a", "private-b"]
    error_message = "Both private subnets must go out through the one NAT gateway."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && length(aws_vpc_endpoint.interface) == 0
    error_message = "S3 must be reached at no cost, and nothing that costs is made unasked."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "REJECT" && aws_cloudwatch_log_group.flow.retention_in_days == 365
    error_message = "What was refused is not logged for a year."
  }
}

run "a_way_out_in_each_zone" {
  command = plan

  module {
    source = "./sensor_network"
  }

  variables {
    zones               = ["a", "b", "c"]
    nat_per_zone        = true
    interface_endpoints = ["sts", "logs"]
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["public-a", "public-b", "public-c"] && keys(aws_vpc_endpoint.interface) == ["logs", "sts"]
    error_message = "Each zone needs its NAT gateway, each service its endpoint."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.40.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443
    error_message = "Endpoints must be reached from the VPC alone."
  }
}

run "one_zone_is_refused" {
  command = plan

  module {
    source = "./sensor_network"
  }

  variables {
    zones = ["a"]
  }

  expect_failures = [var.zones]
}

run "a_network_too_small_for_its_subnets_is_refused" {
  command = plan

  module {
    source = "./sensor_network"
  }

  variables {
    cidr = "10.40.0.0/24"
  }

  expect_failures = [var.cidr]
}
