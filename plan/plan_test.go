package plan

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/asset"
)

func nets(all ...string) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

var (
	us3   = netip.MustParseAddr("10.1.0.3")
	us4   = netip.MustParseAddr("10.1.0.4")
	ntp   = netip.MustParseAddr("10.5.0.123")
	desk  = netip.MustParseAddr("10.4.0.7")
	since = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
)

func small() Sources {
	return Sources{
		Zones: []Zone{
			{Name: "modalities", Networks: nets("10.1.0.0/24", "fd01::/64")},
			{Name: "archive", Networks: nets("10.2.0.0/24")},
			{Name: "general", Networks: nets("10.0.0.0/8")},
			{Name: "visitors", Networks: nets("10.9.0.0/16"), Closed: true},
		},
		Devices: []Device{
			{Name: "us-3", Addresses: nets("10.1.0.3/32", "fd01::3/128"), Outlet: 4006, Flows: []asset.Flow{
				{Purpose: "time", To: nets("10.5.0.123/32"), Protocol: "udp", Port: 123, Needed: true, Source: asset.FromConfig},
				{Purpose: "service", To: nets("10.4.0.0/24"), Protocol: "tcp", Port: 5900, PortTo: 5910, Inbound: true, Source: asset.FromMUD},
			}},
			{Name: "us-4", Addresses: nets("10.1.0.4/32")},
			{Name: "lost"},
		},
		Archives:   []Archive{{Name: "pacs", Addresses: nets("10.2.0.1/32"), Port: 104, Direct: nets("10.1.0.4/32")}},
		Gateway:    nets("10.1.0.1/32", "10.2.0.254/32"),
		Ports:      []uint16{104, 2762},
		Management: nets("10.4.0.7/32"),
		Watching:   since,
		Seen: []Seen{
			{From: us3, To: ntp, Protocol: udp, Port: 123, Last: since.Add(time.Hour), Times: 7},
			{From: us3, To: us4, Protocol: tcp, Port: 445, Last: since.Add(2 * time.Hour), Times: 3},
			{From: us4, To: netip.MustParseAddr("10.2.0.1"), Protocol: tcp, Port: 104, Last: since, Times: 1},
			{From: us4, To: netip.MustParseAddr("10.2.0.1"), Protocol: tcp, Port: 105, Last: since, Times: 1},
			{From: us4, To: netip.MustParseAddr("10.1.0.1"), Protocol: tcp, Port: 8080, Last: since, Times: 1},    // this machine
			{From: us4, To: netip.MustParseAddr("224.0.0.251"), Protocol: udp, Port: 5353, Last: since, Times: 1}, // nobody passes it on
			{From: desk, To: us3, Protocol: tcp, Port: 5905, Last: since, Times: 1},
			{From: netip.MustParseAddr("192.0.2.1"), To: netip.MustParseAddr("192.0.2.2"), Protocol: tcp, Port: 1, Last: since, Times: 1},
		},
	}
}

func TestComputeSaysWhatWouldBreak(t *testing.T) {
	p := Compute(small())
	if len(p.Breaks) != 2 || p.Breaks[0].Port != 445 || p.Breaks[0].Device != "us-3" || p.Breaks[0].Peer != "us-4" || p.Breaks[0].Zone != "modalities" || p.Breaks[1].Port != 105 || p.Breaks[1].PeerZone != "archive" {
		t.Errorf("%+v", p.Breaks)
	}
	if len(p.Unused) != 0 { // the desk is management, and both declared flows were seen
		t.Errorf("%+v", p.Unused)
	}
	s := small()
	s.Seen = s.Seen[1:]
	if p := Compute(s); len(p.Unused) != 1 || p.Unused[0].Purpose != "time" || !p.Unused[0].LastSeen.IsZero() {
		t.Errorf("%+v", p.Unused)
	}
	i := slices.IndexFunc(p.Rules, func(r Rule) bool { return r.Purpose == "time" })
	if r := p.Rules[i]; !r.LastSeen.Equal(since.Add(time.Hour)) || r.Times != 7 || r.Zone != "modalities" || r.Why != "the configuration; needed to scan at all" {
		t.Errorf("%+v", r)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "lost") {
		t.Errorf("%q", p.Notes)
	}
}

// The way of images, and of those who administer, is in every plan.
func TestThePathOfImagesIsNeverCut(t *testing.T) {
	p := Compute(small())
	for _, c := range []struct {
		from, to string
		port     uint16
		allowed  bool
	}{
		{"10.1.0.3", "10.1.0.1", 104, true},
		{"fd01::3", "10.1.0.1", 104, true},
		{"10.1.0.3", "10.2.0.254", 2762, true},
		{"10.2.0.254", "10.2.0.1", 104, true},
		{"10.2.0.1", "10.2.0.254", 104, true},
		{"10.2.0.254", "10.1.0.3", 4006, true},
		{"10.1.0.4", "10.2.0.1", 104, true},
		{"10.1.0.3", "10.2.0.1", 104, false},
		{"10.4.0.7", "10.1.0.4", 22, true},
		{"10.4.0.8", "10.1.0.4", 22, false},
		{"10.1.0.3", "10.1.0.4", 104, false},
	} {
		got := slices.ContainsFunc(p.Rules, func(r Rule) bool {
			return r.Allows(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to), tcp, c.port)
		})
		if got != c.allowed {
			t.Errorf("%s to %s:%d: %t", c.from, c.to, c.port, got)
		}
	}
	s := small()
	s.Gateway, s.Archives[0].Addresses = nil, nil
	for _, r := range Compute(s).Rules {
		if r.Fixed && r.Purpose != "management" {
			t.Errorf("an end that nobody knows is anybody: %+v", r)
		}
	}
}

// The order of what it is computed from does not matter, nor what was seen.
func TestThePlanIsTheSameForTheSame(t *testing.T) {
	want := Compute(small())
	for range 20 {
		s := small()
		for _, shuffle := range []func(){
			func() { rand.Shuffle(len(s.Devices), reflect.Swapper(s.Devices)) },
			func() { rand.Shuffle(len(s.Zones), reflect.Swapper(s.Zones)) },
			func() { rand.Shuffle(len(s.Seen), reflect.Swapper(s.Seen)) },
			func() { rand.Shuffle(len(s.Ports), reflect.Swapper(s.Ports)) },
			func() { rand.Shuffle(len(s.Gateway), reflect.Swapper(s.Gateway)) },
			func() { rand.Shuffle(len(s.Devices[0].Flows), reflect.Swapper(s.Devices[0].Flows)) },
		} {
			shuffle()
		}
		if got := Compute(s); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nnot\n%+v", got, want)
		}
	}
	s := small()
	s.Seen = nil
	if got := Compute(s); got.Digest != want.Digest {
		t.Error("the digest depends on what was seen")
	}
	s.Devices[0].Flows = s.Devices[0].Flows[1:]
	if got := Compute(s); got.Digest == want.Digest {
		t.Error("the digest does not depend on what is declared")
	}
}

// What is written is what it was the last time: UPDATE=1 writes it anew.
func TestThePlanOnPaper(t *testing.T) {
	p := Compute(small())
	for name, write := range map[string]func(*strings.Builder) error{
		"plan.txt": func(b *strings.Builder) error { return p.Text(b) },
		"plan.nft": func(b *strings.Builder) error { return p.NFT(b) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if os.Getenv("UPDATE") != "" {
			os.MkdirAll("testdata", 0o755)
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != b.String() {
			t.Errorf("%s is another (%v):\n%s", path, err, b.String())
		}
	}
	if out, err := exec.Command("nft", "--check", "--file", "testdata/plan.nft").CombinedOutput(); err != nil {
		t.Errorf("nft does not take it: %v\n%s", err, out)
	}
}
