package main

import (
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// AuditConfig is what becomes of the record of what happened.
type AuditConfig struct {
	ReviewDays int    // length of the period of an activity review; 0: the default
	Owner      string // who signs activity reviews

	Source string             // how this Cordon is called in audit messages; "": the machine's name
	Syslog []RepositoryConfig // where audit messages go
	ECS    []RepositoryConfig // where JSON lines go; one at the most
}

func (d *document) audit(n ast.Node, a *AuditConfig) {
	d.mapping(n, keys{
		"source": d.text(&a.Source),
		"syslog": d.syslog(&a.Syslog),
		"ecs":    d.ecs(&a.ECS),
		"review": func(n ast.Node) {
			d.mapping(n, keys{"every": d.days(&a.ReviewDays, 1, 92), "owner": d.text(&a.Owner)})
		},
	})
}

var daysText = regexp.MustCompile(`^([0-9]{1,4})d$`)

// days reads a number of days, written as 7d.
func (d *document) days(to *int, low, high int) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if m := daysText.FindStringSubmatch(s); m != nil {
			if v, _ := strconv.Atoi(m[1]); v >= low && v <= high {
				*to = v
				return
			}
		}
		d.wrong(n, "%q is not a number of days from %d to %d; write it as 7d", s, low, high)
	}
}
