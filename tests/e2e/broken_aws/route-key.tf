# expect: 8:15 aws_apigatewayv2_route.r.route_key: the path begins with '/'
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET users"
}
