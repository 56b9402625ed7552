package main

import (
	"github.com/goccy/go-yaml/ast"

	"cordon/gateway"
)

// delivery reads archives[].delivery.
func (d *document) delivery(to *gateway.Delivery) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, gateway.Deliveries()...) {
			*to, _ = gateway.ParseDelivery(s) // it is one of the words
		}
	}
}
