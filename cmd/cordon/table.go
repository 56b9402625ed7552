package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// newTable writes aligned columns: cells end with tabs, rows with newlines. The
// caller flushes it.
func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
}

// ago writes how long ago a time was, in its largest unit.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := max(0, time.Since(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dmin ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// or is s, or other if s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
