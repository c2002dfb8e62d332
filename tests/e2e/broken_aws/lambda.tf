# expect: 8:22 aws_apigatewayv2_integration.i.integration_type: AWS_PROXY integrations: not supported yet
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
}
resource "aws_apigatewayv2_integration" "i" {
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "AWS_PROXY"
  integration_uri  = "arn:aws:lambda:us-east-1:1:function:f"
}
