# expect: 3:3 aws_apigatewayv2_api.a.nam: unknown field
resource "aws_apigatewayv2_api" "a" {
  nam           = "a"
  name          = "a"
  protocol_type = "HTTP"
}
