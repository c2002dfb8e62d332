# expect: 9:15 aws_apigatewayv2_route.r.target: 'aws_apigatewayv2_integration.i.id' names no integration
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
  target    = "integrations/${aws_apigatewayv2_integration.i.id}"
}
