// Command gendocs writes the rules of the network as a page for operators.
//
//	go generate ./network
//
// writes docs/network-rules.md. The page is made from the table alone; it is not to be
// edited.
package main

import (
	"fmt"
	"os"

	"cordon/network"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], network.Page(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
