# expect: 9:3 aws_apigatewayv2_stage.s.route_settings: Unable to find Route by key GET /b
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_stage" "s" {
  api_id = aws_apigatewayv2_api.a.id
  name   = "s"
  route_settings {
    route_key = "GET /b"
  }
}
