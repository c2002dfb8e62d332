# expect: 8:21 aws_apigatewayv2_authorizer.z.authorizer_type: REQUEST authorizers: not supported yet
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_authorizer" "z" {
  api_id          = aws_apigatewayv2_api.a.id
  authorizer_type = "REQUEST"
  name            = "z"
}
