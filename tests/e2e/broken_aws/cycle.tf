# expect: 4:7 'a' depends on itself
locals {
  a = local.b
  b = local.a
}
resource "aws_apigatewayv2_api" "x" {
  name          = local.a
  protocol_type = "HTTP"
}
