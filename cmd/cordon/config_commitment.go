package main

import (
	"time"

	"github.com/goccy/go-yaml/ast"
)

// CommitmentConfig is how patient storage commitment is. Zero means the default.
type CommitmentConfig struct {
	Term   time.Duration // to resolve a request, and then to report it
	Answer time.Duration // for an archive to report
}

func (d *document) commitment(n ast.Node, c *CommitmentConfig) {
	var days, hours int
	d.mapping(n, keys{
		"term_days":    d.number(&days, 1, 90),
		"answer_hours": d.number(&hours, 1, 24*90),
	})
	c.Term, c.Answer = time.Duration(days)*24*time.Hour, time.Duration(hours)*time.Hour
}
