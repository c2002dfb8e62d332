# expect: 9:22 integration_uri: no URL; say where it is in the setting aws_hosts
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_integration" "i" {
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "HTTP_PROXY"
  integration_uri  = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/x"
}
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
  target    = "integrations/${aws_apigatewayv2_integration.i.id}"
}
