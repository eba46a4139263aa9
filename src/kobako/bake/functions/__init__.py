"""The functions every bake file can call: those of go-cty and buildx's own."""
