package zeek_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/asset"
	"cordon/network"
	"cordon/network/zeek"
)

func one(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s + "/32")} }

func site(t testing.TB) *network.Watch {
	t.Helper()
	flows := []asset.Flow{
		{Purpose: "dicom", To: one("10.1.0.1"), Protocol: "tcp", Port: 104},
		{Purpose: "dns", To: one("10.1.6.60"), Protocol: "udp", Port: 53},
	}
	w, err := network.New(t.Context(), network.Config{
		Servers: []network.Server{{Name: "gateway", Addresses: one("10.1.0.1"), Ports: []uint16{104}}},
		Devices: func() []network.Declared {
			return []network.Declared{
				{Name: "us1", Addresses: one("10.1.1.11"), Modality: true, Strict: true, Flows: flows},
				{Name: "us2", Addresses: one("10.1.1.12"), Modality: true, Strict: true, Flows: flows},
			}
		},
	}, network.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func feed(r *zeek.Reader, text []byte) {
	for line := range bytes.Lines(text) {
		r.Line(bytes.TrimSuffix(line, []byte("\n")))
	}
}

func TestNormalConnectionsRaiseNothing(t *testing.T) {
	w := site(t)
	r := zeek.New(w, zeek.Config{})
	feed(r, read(t, "normal.log"))
	if got := w.Drain(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	if st := r.Status(); st.Records != 4 || st.Bad != 0 {
		t.Errorf("%+v", st)
	}
}

func TestHostileConnections(t *testing.T) {
	hostile := []struct {
		rule string
		may  bool
	}{{network.Lateral, true}, {network.EastWest, false}, {network.Lateral, false}}
	asJSON := []byte(`{"ts":1772438520.0,"uid":"D1","id.orig_h":"10.1.1.11","id.orig_p":50100,"id.resp_h":"10.1.40.40","id.resp_p":445,"proto":"tcp","service":"smb","duration":1.0,"conn_state":"SF","history":"ShADadFf","orig_pkts":8,"orig_ip_bytes":1100,"resp_pkts":6,"resp_ip_bytes":900}
{"ts":"2026-03-02T08:02:01.000000Z","uid":"D2","id.orig_h":"10.1.1.11","id.orig_p":50101,"id.resp_h":"10.1.1.12","id.resp_p":8080,"proto":"tcp","conn_state":"S0","history":"S","orig_pkts":3,"resp_pkts":0}
{"ts":1772438522.0,"uid":"D3","id.orig_h":"10.1.1.12","id.orig_p":50102,"id.resp_h":"10.1.40.41","id.resp_p":445,"proto":"tcp","conn_state":"RSTO","history":"ShAR","orig_pkts":4,"resp_pkts":1}
`)
	for name, text := range map[string][]byte{"tab-separated": read(t, "hostile.log"), "JSON": asJSON} {
		t.Run(name, func(t *testing.T) {
			w := site(t)
			r := zeek.New(w, zeek.Config{})
			feed(r, text)
			got := w.Drain()
			if len(got) != len(hostile) {
				t.Fatalf("%+v, %+v", got, r.Status())
			}
			for i, a := range got {
				if a.Rule != hostile[i].rule || a.May() != hostile[i].may {
					t.Errorf("%s, may %v; expected %+v", a.Rule, a.May(), hostile[i])
				}
			}
		})
	}
}

// A reader that begins in the middle of a file knows its header, and that of the next.
func TestHeaderIsReadWherever(t *testing.T) {
	w := site(t)
	path := filepath.Join(t.TempDir(), "conn.log")
	normal, hostile := read(t, "normal.log"), read(t, "hostile.log")
	rows := bytes.SplitAfter(hostile, []byte("\n"))
	header, last := bytes.Join(rows[:7], nil), rows[7]
	if err := os.WriteFile(path, normal[:bytes.Index(normal, []byte("#close"))], 0o600); err != nil {
		t.Fatal(err)
	}
	r := zeek.New(w, zeek.Config{Path: path})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	time.Sleep(250 * time.Millisecond)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(last); err != nil {
		t.Fatal(err)
	}
	f.Close()
	wait(t, r, 1)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, slices.Concat(header, rows[8], rows[9]), 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, r, 3)
	if st := r.Status(); st.Bad != 0 {
		t.Errorf("%+v", st)
	}
	if got := w.Drain(); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

func wait(t *testing.T, r *zeek.Reader, records uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.Status().Records < records; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v; expected %d records", r.Status(), records)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func FuzzLine(f *testing.F) {
	for _, name := range []string{"normal.log", "hostile.log"} {
		f.Add(read(f, name))
	}
	f.Add([]byte(`{"ts":1e300,"id.orig_h":"1.2.3.4","id.resp_h":"::1","duration":-1,"proto":"tcp"}`))
	f.Add([]byte("#separator \\x2c\n#fields,ts,id.orig_h\nNaN,1.2.3.4"))
	w := site(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		r := zeek.New(w, zeek.Config{})
		feed(r, text)
		if st := r.Status(); st.Bad > st.Records {
			t.Errorf("%+v", st)
		}
	})
}
