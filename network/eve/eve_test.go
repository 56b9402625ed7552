package eve_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/asset"
	"cordon/network"
	"cordon/network/eve"
)

func one(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s + "/32")} }

func site(t testing.TB) *network.Watch {
	t.Helper()
	flows := []asset.Flow{
		{Purpose: "dicom", To: one("10.1.0.1"), Protocol: "tcp", Port: 104},
		{Purpose: "dns", To: one("10.1.6.60"), Protocol: "udp", Port: 53},
	}
	w, err := network.New(t.Context(), network.Config{Devices: func() []network.Declared {
		return []network.Declared{
			{Name: "us1", Addresses: one("10.1.1.11"), Modality: true, Strict: true, Flows: flows},
			{Name: "us2", Addresses: one("10.1.1.12"), Modality: true, Strict: true, Flows: flows},
		}
	}}, network.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func lines(t testing.TB, name string) (out [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		out = append(out, slices.Clone(s.Bytes()))
	}
	return out
}

func TestNormalRecordsRaiseNothing(t *testing.T) {
	w := site(t)
	r := eve.New(w, eve.Config{})
	for _, l := range lines(t, "normal.json") {
		r.Line(l)
	}
	if got := w.Drain(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	if st := r.Status(); st.Records != 5 || st.Used != 4 || st.Bad != 0 {
		t.Errorf("%+v", st)
	}
}

func TestHostileRecords(t *testing.T) {
	w := site(t)
	r := eve.New(w, eve.Config{})
	type found struct {
		rule  string
		may   bool
		level network.Severity
	}
	var got []found
	for _, l := range lines(t, "hostile.json") {
		r.Line(l)
		for _, a := range w.Drain() {
			got = append(got, found{a.Rule, a.May(), a.Severity})
		}
	}
	want := []found{
		{network.Lateral, false, network.Critical},
		{network.Recognised, false, network.Critical},
		{network.Lateral, true, network.Critical}, // the record of the flow proves both
		{network.Recognised, true, network.Critical},
		{network.EastWest, false, network.Critical},
		{network.Attacked, false, network.Warning},
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %+v", got)
	}
}

// A flow in which the caller's end sent a reset may have been somebody else's call in its
// name.
func TestResetOfTheCallerProvesNothing(t *testing.T) {
	w := site(t)
	line := lines(t, "hostile.json")[2]
	eve.New(w, eve.Config{}).Line(bytes.Replace(line, []byte(`"tcp_flags_ts":"1b"`), []byte(`"tcp_flags_ts":"1e"`), 1))
	for _, a := range w.Drain() {
		if a.May() {
			t.Errorf("%+v", a)
		}
	}
}

func TestFileIsFollowedThroughRotation(t *testing.T) {
	w := site(t)
	path := filepath.Join(t.TempDir(), "eve.json")
	normal, hostile := lines(t, "normal.json"), lines(t, "hostile.json")
	if err := os.WriteFile(path, append(hostile[0], '\n'), 0o600); err != nil { // there before: not read
		t.Fatal(err)
	}
	r := eve.New(w, eve.Config{Path: path})
	run(t, r)
	time.Sleep(250 * time.Millisecond)
	appendTo(t, path, normal[0])
	waitFor(t, r, 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".1", normal[1]) // still written to
	time.Sleep(250 * time.Millisecond)
	appendTo(t, path, hostile[2])
	waitFor(t, r, 3)
	if got := w.Drain(); len(got) != 1 || got[0].Rule != network.Lateral || !got[0].May() {
		t.Errorf("%+v", got)
	}
	if err := os.Truncate(path, 0); err != nil { // as logrotate's copytruncate does
		t.Fatal(err)
	}
	time.Sleep(250 * time.Millisecond)
	appendTo(t, path, normal[2])
	waitFor(t, r, 4)
}

func run(t *testing.T, r *eve.Reader) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

func appendTo(t *testing.T, path string, line []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(slices.Clone(line), '\n')); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, r *eve.Reader, records uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.Status().Records < records; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v; expected %d records", r.Status(), records)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSocket(t *testing.T) {
	w := site(t)
	path := filepath.Join(t.TempDir(), "eve.sock")
	r := eve.New(w, eve.Config{Socket: path})
	run(t, r)
	var c net.Conn
	for deadline := time.Now().Add(5 * time.Second); ; {
		var err error
		if c, err = net.Dial("unix", path); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	defer c.Close()
	for _, l := range lines(t, "hostile.json") {
		if _, err := c.Write(append(l, '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(bytes.Repeat([]byte("x"), 100<<10)); err != nil { // no line
		t.Fatal(err)
	}
	waitFor(t, r, 6)
	if st := r.Status(); st.Bad != 1 {
		t.Errorf("%+v", st)
	}
}

func FuzzLine(f *testing.F) {
	for _, name := range []string{"normal.json", "hostile.json"} {
		for _, l := range lines(f, name) {
			f.Add(l)
		}
	}
	f.Add([]byte(`{"event_type":"flow","src_ip":"::ffff:10.1.1.11","dest_ip":"fe80::1%eth0","timestamp":"9999-12-31T23:59:59.999999+9999"}`))
	w := site(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		r := eve.New(w, eve.Config{})
		r.Line(line)
		if st := r.Status(); st.Records != 1 || st.Used+st.Bad > 1 {
			t.Errorf("%+v", st)
		}
	})
}
