# expect: 2:1 aws_api_gateway_rest_api.r: REST APIs: not supported yet
resource "aws_api_gateway_rest_api" "r" {
  name = "r"
}
