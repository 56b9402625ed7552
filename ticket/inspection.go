package ticket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"cordon/media"
)

// importWithin is how old an import may be that a ticket is opened on.
const importWithin = 7 * 24 * time.Hour

// line is one of a report: of cordon import --json or cordon inspect --json.
type line struct {
	Path    string        `json:"path"`
	Bytes   int64         `json:"bytes"`
	Verdict string        `json:"verdict"`
	Outcome media.Outcome `json:"outcome"` // of an import; "" of an inspection
}

// inspection reads a report, and finds the import on the ledger that it is of. An
// error is what keeps the visitor out: nothing was looked at, or not all is clean.
func (d *Desk) inspection(ctx context.Context, f File) (Inspection, error) {
	in := Inspection{Document: f.document()}
	sum, dirty, err := readReport(f.Text, &in)
	switch {
	case err != nil:
		return in, fmt.Errorf("a report as cordon import --json or cordon inspect --json prints it: %w", err)
	case in.Files == 0:
		return in, errors.New("a report on something: this one has no files (was the right folder inspected?)")
	case dirty != "":
		return in, fmt.Errorf("clean media: %s", dirty)
	}
	err = d.verify(ctx, sum, &in)
	return in, err
}

// readReport counts what a report is about, and says what is not clean.
func readReport(text []byte, in *Inspection) (sum media.Summary, dirty string, err error) {
	imported, bad := true, 0
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var l line
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return sum, "", err
		}
		if l.Path == "" || l.Verdict == "" {
			return sum, "", errors.New("a line without a path and a verdict")
		}
		in.Files++
		sum.Files++
		sum.Bytes += l.Bytes
		imported = imported && l.Outcome != ""
		switch l.Outcome {
		case media.Stored:
			sum.Stored++
		case media.Held:
			sum.Held++
		case media.Listed:
			sum.Listed++
		case media.Failed:
			sum.Failed++
		case media.Unreadable:
			sum.Unreadable++
		}
		if l.Verdict == "admit" && l.Outcome != media.Held && l.Outcome != media.Unreadable && l.Outcome != media.Failed {
			in.Admitted++
			continue
		}
		if bad++; bad == 1 {
			dirty = fmt.Sprintf("%.120q is %s", l.Path, l.Verdict)
			if l.Outcome != "" {
				dirty += ", " + string(l.Outcome)
			}
		}
	}
	if bad > 1 {
		dirty += fmt.Sprintf(", and %d more are not clean", bad-1)
	}
	if !imported {
		sum.Archive = ""
	} else {
		sum.Archive = "imported"
	}
	return sum, dirty, nil
}

// verify looks for the import that a report is of.
func (d *Desk) verify(ctx context.Context, sum media.Summary, in *Inspection) error {
	if sum.Archive == "" {
		in.Says = "an inspection without a server leaves no record here; its report is taken at its word"
		return nil
	}
	in.Says = "no import of these numbers is on the ledger within seven days; the report is taken at its word"
	return d.p.Imports(ctx, time.Now().Add(-importWithin), func(s media.Summary) bool {
		same := s.Complete && s.Files == sum.Files && s.Bytes == sum.Bytes && s.Stored == sum.Stored && s.Held == sum.Held &&
			s.Listed == sum.Listed && s.Failed == sum.Failed && s.Unreadable == sum.Unreadable
		if same {
			in.Verified, in.Says = true, fmt.Sprintf("an import by %s is on the ledger with just these numbers", s.By)
		}
		return !same
	})
}
