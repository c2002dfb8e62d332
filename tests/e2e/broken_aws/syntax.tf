# expect: 4:1 a block without its .
resource "aws_apigatewayv2_api" "a" {
  name = "a"
