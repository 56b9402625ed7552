// Command gendocs writes the rules of the activity review as a page.
//
//	go generate ./review
//
// writes docs/review.md. The page is made from the rules alone; it is not
// to be edited.
package main

import (
	"fmt"
	"os"

	"cordon/review"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], review.Page(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
