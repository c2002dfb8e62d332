# expect: 3:15 aws_apigatewayv2_route.r.api_id: 'aws_apigatewayv2_api.a.id' names no API of these files
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
}
