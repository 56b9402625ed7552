package incident

import (
	"archive/zip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"cordon/custody"
)

const readMe = `The story of one incident, as Cordon recorded it.

story.json   all of it, for programs
timeline.csv    the lines of the story; seq is the number of the ledger's record
studies.csv     what was imaged meanwhile, and where it is
records.proof   the records themselves, each proved to be in the signed ledger

Verify the proof, without a network and without this Cordon:

    cordon ledger verify records.proof

Times are UTC. It names no patient.
`

// Export writes a ZIP archive: the story as JSON and CSV, and the ledger's records
// with proofs that anyone can verify. Who took it out is on the ledger before, and
// in it. Text that a spreadsheet would take for a formula has an apostrophe before it.
func (i *Incidents) Export(ctx context.Context, id int64, w io.Writer, rq custody.Request) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	story, err := i.Show(ctx, id)
	if err != nil {
		return err
	}
	err = i.ledger.Record(ctx, "incident.exported", map[string]any{"incident": id, "device": story.Device, "by": []string{rq.By}, "reason": rq.Reason})
	if err != nil {
		return err
	}
	out := zip.NewWriter(w)
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"README.txt", func(w io.Writer) error { _, err := io.WriteString(w, readMe); return err }},
		{"story.json", func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(story)
		}},
		{"timeline.csv", story.timeline},
		{"studies.csv", story.studies},
		{"records.proof", func(w io.Writer) error { return i.prove(ctx, w, story) }},
	} {
		part, err := out.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Now().UTC()})
		if err == nil {
			err = f.write(part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return out.Close()
}

func (i *Incidents) prove(ctx context.Context, w io.Writer, story Story) error {
	var numbers []int64
	for _, e := range story.Events {
		numbers = append(numbers, e.Seq)
	}
	if len(numbers) == 0 {
		return nil
	}
	return i.ledger.Prove(ctx, w, numbers...)
}

func (s Story) timeline(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write([]string{"seq", "time", "kind", "what"})
	for _, e := range s.Events {
		out.Write([]string{strconv.FormatInt(e.Seq, 10), e.At.Format(time.RFC3339Nano), e.Kind, cell(e.Says)})
	}
	out.Flush()
	return out.Error()
}

func (s Story) studies(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write([]string{"study_instance_uid", "images", "delivered", "on_their_way", "held", "refused", "destroyed", "first", "last"})
	for _, v := range s.Of {
		out.Write([]string{cell(v.UID), strconv.Itoa(v.Made), strconv.Itoa(v.Delivered), strconv.Itoa(v.Spooled), strconv.Itoa(v.Held), strconv.Itoa(v.Refused), strconv.Itoa(v.Destroyed), v.First.Format(time.RFC3339), v.Last.Format(time.RFC3339)})
	}
	out.Flush()
	return out.Error()
}

// cell is a text that no spreadsheet takes for a formula.
func cell(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '-' || s[0] == '@' || s[0] == '\t' || s[0] == '\r') {
		return "'" + s
	}
	return s
}
