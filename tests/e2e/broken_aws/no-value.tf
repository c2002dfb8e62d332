# expect: 4:19 aws_apigatewayv2_api.a: 'var.name' has no value
variable "name" {}
resource "aws_apigatewayv2_api" "a" {
  name          = var.name
  protocol_type = "HTTP"
}
