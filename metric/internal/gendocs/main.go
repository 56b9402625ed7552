// Command gendocs writes the catalogue of metrics as a page for operators.
//
//	go generate ./metric
//
// writes docs/metrics.md. The page is made from the catalogue alone; it is not
// to be edited.
package main

import (
	"fmt"
	"os"

	"cordon/metric"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], metric.Page(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
