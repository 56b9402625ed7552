package container_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cordon/finding"
	"cordon/inspect/compose"
	"cordon/inspect/container"
)

// notes writes down what an Opener tells.
type notes struct {
	found   []container.Found
	members []string
	bytes   int64
	text    []byte // the first MiB of members
	open    bool
	faults  []string
}

func (n *notes) Found(f container.Found) { n.found = append(n.found, f) }

func (n *notes) Begin(m container.Member) {
	if n.open {
		n.faults = append(n.faults, "a member begins in a member")
	}
	n.open = true
	n.members = append(n.members, m.Path)
}

func (n *notes) Write(p []byte) {
	n.bytes += int64(len(p))
	n.text = append(n.text, p[:min(len(p), 1<<20-len(n.text))]...)
}
func (n *notes) End() { n.open = false }

func (n *notes) has(id string) bool {
	for _, f := range n.found {
		if f.ID == id {
			return true
		}
	}
	return false
}

func opened(l container.Limits, p []byte) *notes {
	n := &notes{}
	container.New(l, n).Open(container.Piece{Data: p, Whole: true})
	return n
}

// FuzzOpen: whatever comes, no panic, no more members, bytes or depth than the limits,
// only findings that the catalogue knows, and an end within a time that its length bounds.
func FuzzOpen(f *testing.F) {
	for _, c := range compose.Containers() {
		f.Add(c.Body)
	}
	f.Add(compose.EncryptedZIP())
	f.Add(compose.PDF("<</Type/ObjStm/Filter[/AHx/LZW/RL/A85/Fl]/DecodeParms<</Predictor 12/Columns 4>>>>stream\n800B6050220C0C8501>\nendstream"))
	for _, path := range encryptedPDFs(f) {
		p, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	limits := container.Limits{Depth: 3, Members: 100, Bytes: 1 << 20}
	f.Fuzz(func(t *testing.T, p []byte) {
		start := container.Spent()
		n := opened(limits, p)
		if took := container.Spent() - start; took > 2*time.Second {
			t.Fatalf("%d bytes took %v", len(p), took)
		}
		if n.bytes > limits.Bytes || len(n.members) > limits.Members || n.open || len(n.faults) > 0 {
			t.Fatalf("%d bytes, %d members, faults %v", n.bytes, len(n.members), n.faults)
		}
		for _, path := range n.members {
			if strings.Count(path, "!") > limits.Depth {
				t.Fatalf("member %s", path)
			}
		}
		for _, found := range n.found {
			if _, ok := finding.Lookup(found.ID); !ok || found.Offset < 0 || found.Offset > int64(len(p)) {
				t.Fatalf("found %+v", found)
			}
		}
		if again := opened(limits, bytes.Clone(p)); fmt.Sprint(again.found) != fmt.Sprint(n.found) {
			t.Fatalf("found %v, then %v", n.found, again.found)
		}
	})
}
