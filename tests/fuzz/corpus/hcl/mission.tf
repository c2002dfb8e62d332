resource "aws_apigatewayv2_route" "users_route" {
  api_id    = aws_apigatewayv2_api.http_api.id
  route_key = "GET /users"
  target    = "integrations/${aws_apigatewayv2_integration.user_service.id}"
}
locals {
  a = [for k, v in { a = 1, b = 2 } : "${k}=${v}" if v > 1]
  b = <<-EOF
    one ${upper("x")}
    EOF
  c = jsonencode(merge({ a = 1 }, { b = [true, null] }))
  d = { for x in ["a", "aa"] : length(x) => x... }
  e = x[*].y == "z" ? -1 : !true
}
