output "faultwatch" {
  description = "Everything that deploying faultwatch needs to know."
  value       = module.faultwatch
}
