data "aws_region" "current" {}

locals {
  zones = [for letter in var.zones : "${data.aws_region.current.name}${letter}"]
  tiers = { private = 0, public = 4, database = 8 }

  # "private-a" => its zone and its sixteenth of the addresses
  subnets = merge([
    for tier, offset in local.tiers : {
      for index, zone in local.zones : "${tier}-${substr(zone, -1, 1)}" => {
        tier = tier
        zone = zone
        cidr = cidrsubnet(var.cidr, 4, offset + index)
      }
    }
  ]...)

  private  = { for key, subnet in local.subnets : key => subnet if subnet.tier == "private" }
  public   = { for key, subnet in local.subnets : key => subnet if subnet.tier == "public" }
  database = { for key, subnet in local.subnets : key => subnet if subnet.tier == "database" }

  nat_subnets = var.nat_per_zone ? local.public : { for key, subnet in local.public : key => subnet if subnet.zone == local.zones[0] }

  role_tags = {
    private  = { "kubernetes.io/role/internal-elb" = "1" }
    public   = { "kubernetes.io/role/elb" = "1" }
    database = {}
  }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = var.name }
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-default-closed" }
}

resource "aws_subnet" "this" {
  for_each = local.subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.value.zone
  cidr_block              = each.value.cidr
  map_public_ip_on_launch = false
  tags                    = merge({ Name = "${var.name}-${each.key}" }, local.role_tags[each.value.tier])
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:The address belongs to a NAT gateway, below
  for_each = local.nat_subnets

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat_subnets

  subnet_id     = aws_subnet.this[each.key].id
  allocation_id = aws_eip.nat[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table" "private" {
  for_each = local.private

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-${each.key}" }
}

resource "aws_route" "private" {
  for_each = local.private

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = try(aws_nat_gateway.this[replace(each.key, "private", "public")].id, one(values(aws_nat_gateway.this)).id)
}

# No way out: nothing but the VPC's own addresses.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-database" }
}

resource "aws_route_table_association" "this" {
  for_each = local.subnets

  subnet_id = aws_subnet.this[each.key].id
  route_table_id = {
    private  = try(aws_route_table.private[each.key].id, null)
    public   = aws_route_table.public.id
    database = aws_route_table.database.id
  }[each.value.tier]
}
