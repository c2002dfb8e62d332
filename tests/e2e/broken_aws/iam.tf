# expect: 9:24 aws_apigatewayv2_route.r.authorization_type: AWS_IAM: not supported yet
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_route" "r" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "GET /a"
  authorization_type = "AWS_IAM"
}
