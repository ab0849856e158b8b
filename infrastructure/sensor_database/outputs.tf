output "identifier" {
  description = "Identifier of the instance, which alarms are about."
  value       = aws_db_instance.this.identifier
}

output "endpoint" {
  description = "Address and port of the database."
  value       = aws_db_instance.this.endpoint
}

output "database_name" {
  description = "Name of the database on the instance."
  value       = aws_db_instance.this.db_name
}

output "secret_arn" {
  description = "ARN of the secret with user and password, which RDS made and rotates; Terraform never sees the password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "security_group_id" {
  description = "Id of the database's security group."
  value       = aws_security_group.this.id
}
