package finding

import (
	"bytes"
	"fmt"
	"strings"
)

//go:generate go run ./internal/gendocs ../docs/findings.md

// Page returns the catalogue as a Markdown page for operators: a table of all
// kinds, then a section for each.
func Page() []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	for _, k := range catalogue {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %v | %s |\n", k.ID, k.ID, k.Severity, k.Title)
	}
	for _, k := range catalogue {
		fmt.Fprintf(&b, "\n## %s\n\n**%s** (%v). %s\n\n- By default: %s\n- What to do: %s\n", k.ID, k.Title, k.Severity, k.Meaning, k.Default, k.Action)
		if k.Exceptable {
			b.WriteString("- May be excepted for a device: see the runbook, \"A device is held wrongly\".\n")
		}
		if len(k.References) > 0 {
			fmt.Fprintf(&b, "- See: %s\n", strings.Join(k.References, "; "))
		}
	}
	return b.Bytes()
}

const pageHead = `# Findings

<!-- Made from the catalogue by "go generate ./finding". Do not edit. -->

What an inspection can find, what it means, what happens and what to do. *Info* is never a reason to
hold an image. *Suspicious* has no place in a real image, or is known to break its readers. *Malicious*
is a payload. Objects whose structure is lost are held as unparseable, whatever else is found in them.
The few that say so may be excepted for a device whose vendor is known to write them; all others stand
for every device.

| id | severity | |
|---|---|---|
`
