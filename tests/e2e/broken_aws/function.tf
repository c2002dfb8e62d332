# expect: 3:19 aws_apigatewayv2_api.a: the function 'templatefile': not supported yet
resource "aws_apigatewayv2_api" "a" {
  name          = templatefile("x", {})
  protocol_type = "HTTP"
}
