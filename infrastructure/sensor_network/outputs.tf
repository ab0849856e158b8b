output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Ids of the subnets that reach the world through NAT and aren't reached from it, by zone."
  value       = [for key in keys(local.private) : aws_subnet.this[key].id]
}

output "public_subnet_ids" {
  description = "Ids of the subnets for load balancers, by zone."
  value       = [for key in keys(local.public) : aws_subnet.this[key].id]
}

output "database_subnet_ids" {
  description = "Ids of the subnets without any way out, by zone."
  value       = [for key in keys(local.database) : aws_subnet.this[key].id]
}

output "nat_gateway_ids" {
  description = "Ids of the NAT gateways, by the subnet they are in."
  value       = { for key, gateway in aws_nat_gateway.this : key => gateway.id }
}
