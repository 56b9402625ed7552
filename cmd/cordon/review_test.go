package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cordon/review"
)

func TestReviewIsPrinted(t *testing.T) {
	monday := time.Date(2026, 11, 16, 0, 0, 0, 0, time.Local)
	r := review.Review{
		ID: "2026-11-16", MadeAt: monday.AddDate(0, 0, 7), Due: time.Now().Add(time.Hour), Owner: "Ann Able",
		Content: review.Content{
			From: monday, To: monday.AddDate(0, 0, 7), First: 100, End: 900, Compare: 4,
			Items: []review.Item{
				{Rule: "bypass", About: "person", Name: "Bob", Count: 2, Says: "Bob: bypasses of inspection started: 2.", Records: []int64{120, 130}},
				{Rule: "held", About: "device", Name: "CT\x1b[2J", Count: 1, Says: "CT\x1b[2J: objects held: 1."},
			},
			Devices: []review.Device{{Name: "ct-1", Objects: 500, Usual: 480, Associations: 9}},
			People:  []review.Person{{Name: "Bob", Acts: map[string]int64{"bypass.started": 2, "bypass.ended": 1}}},
		},
	}
	for _, c := range []struct {
		name   string
		change func(*review.Review)
		says   []string
	}{
		{"waiting", func(*review.Review) {}, []string{
			"2026-11-16 to 2026-11-22, records 100 to 899, compared with 4 periods before\n",
			"waiting: Ann Able signs it by ",
			"\nbypass\n  While it lasts, harmful objects reach the archive.",
			"  - Bob: bypasses of inspection started: 2. Records 120, 130.\n",
			`"CT\x1b[2J: objects held: 1."`,
			"ct-1    500      480      0     0        9             0\n",
			"Bob     bypass.ended 1, bypass.started 2\n",
		}},
		{"overdue", func(r *review.Review) { r.Due = time.Now().Add(-time.Hour) }, []string{"OVERDUE: Ann Able signs it by "}},
		{"signed", func(r *review.Review) { r.SignedBy, r.SignedAt, r.Note = "Ann", time.Now(), "a drill" }, []string{"signed by Ann on ", ": a drill\n"}},
		{"quiet", func(r *review.Review) { r.Items, r.Owner = nil, "" }, []string{"waiting: somebody signs it by ", "\nnothing unusual\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, out := r, bytes.Buffer{}
			c.change(&one)
			printReview(&out, one)
			for _, says := range c.says {
				if !strings.Contains(out.String(), says) {
					t.Errorf("lacks %q:\n%s", says, out.String())
				}
			}
		})
	}
}
