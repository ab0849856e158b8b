# What people need to work with SageMaker by hand (`faultwatch cloud`), for the roles that they sign in with.
resource "aws_iam_policy" "operator" {
  #checkov:skip=CKV_AWS_355:sagemaker:ListEndpoints knows no resource; it only lists
  name        = "${var.name}-sagemaker-operator"
  description = "Train, approve, serve and watch models of ${var.name} with faultwatch cloud"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in concat(
        local.pipeline_statements,
        module.sagemaker.use_statements,
        module.sagemaker.set_up_statements,
        module.model_bucket.write_statements,
        module.prediction_bucket.write_statements,
      ) : { for key, value in statement : key => value if value != null }
    ]
  })
}
