# expect: 4:19 aws_apigatewayv2_api.a.protocol_type: WebSocket APIs: not supported yet
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "WEBSOCKET"
}
