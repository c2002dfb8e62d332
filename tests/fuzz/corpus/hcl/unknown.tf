a = "%{ if x == "}" }a%{ endif } ${~ 1 ~}"
b = p::q::r("x")
