package network

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

//go:generate go run ./internal/gendocs ../docs/network-rules.md

// Page returns the rules as a Markdown page for operators: a table of all, then a
// section for each.
func Page() []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	for _, r := range rules {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", r.ID, strings.ToLower(r.ID), r.Severity, or(r.limit(), "once"), r.Title)
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n## %s\n\n**%s** (%s). %s\n\n- What to do: %s\n", r.ID, r.Title, r.Severity, r.Meaning, r.Action)
		if r.Acted {
			b.WriteString("- It is about what the device did itself: with a proof, something may be done to the device because of it.\n")
		} else {
			b.WriteString("- It is about what was done to the device, or in its name: nothing is done to the device because of it.\n")
		}
		if r.Threshold > 0 {
			fmt.Fprintf(&b, "- Threshold: %s. %s\n", r.limit(), r.Why)
		}
	}
	return b.Bytes()
}

// limit is a threshold in words; "" if once is enough.
func (r Rule) limit() string {
	switch {
	case r.Threshold == 0:
		return ""
	case r.Within == 0:
		return fmt.Sprintf("%d %s", r.Threshold, r.Unit)
	}
	return fmt.Sprintf("%d %s in %s", r.Threshold, r.Unit, spell(r.Within))
}

func spell(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

const pageHead = `# Rules of the network

<!-- Made from the table by "go generate ./network". Do not edit. -->

What counts as unusual on the network, what it means and what to do ([the network](network.md) says how it
is seen, and what a proof is). A site switches a rule off, or gives it another severity or threshold, by its id:

` + "```yaml" + `
network:
  rules:
    NET-NEW-SERVICE: {severity: notice}
    NET-SCAN-HOSTS: {threshold: 12}
    NET-STRANGER-SCANS: {off: true}
` + "```" + `

| id | severity | when | |
|---|---|---|---|
`
