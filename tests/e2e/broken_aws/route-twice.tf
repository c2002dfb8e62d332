# expect: 18:15 Route with key GET /a already exists for this API: aws_apigatewayv2_route.r
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_integration" "i" {
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "HTTP_PROXY"
  integration_uri  = "http://b.test"
}
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
  target    = "integrations/${aws_apigatewayv2_integration.i.id}"
}
resource "aws_apigatewayv2_route" "s" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
  target    = "integrations/${aws_apigatewayv2_integration.i.id}"
}
