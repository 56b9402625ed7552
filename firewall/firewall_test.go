package firewall

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"

	"golang.org/x/sys/unix"
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

// ultrasound is a contained device of both versions of IP.
func ultrasound(until time.Time) Contained {
	return Contained{
		Device: "us1", Addresses: prefixes("10.1.1.5/32", "fd00:1::5/128"), Level: ImageOnly, Ports: []uint16{4006}, Until: until,
		MACs: []net.HardwareAddr{{2, 0, 0, 0, 1, 5}},
		Allowed: []Rule{
			{To: prefixes("10.9.0.53/32", "fd00:9::53/128"), Protocol: unix.IPPROTO_UDP, Port: 53},
			{To: prefixes("10.9.0.0/24"), Protocol: unix.IPPROTO_TCP, Port: 80, PortTo: 90},
			{Protocol: unix.IPPROTO_UDP, Port: 67},
		},
		Called: []Rule{{From: prefixes("10.9.0.7/32"), Protocol: unix.IPPROTO_TCP, Port: 5900}},
	}
}

// everything is a Ruleset with something in each section.
func everything() Ruleset {
	hour := time.Now().Add(time.Hour)
	return Ruleset{
		Contained: []Contained{ultrasound(hour)},
		Openings:  []Opening{{ID: "T-1", Rule: Rule{From: prefixes("10.7.1.1/32"), To: prefixes("10.1.1.9/32"), Protocol: 6, Port: 22}, Until: hour}},
		Plan: &Plan{
			Mode: Enforce, Zones: []Zone{{"modalities", prefixes("10.1.0.0/16", "fd00:1::/32")}, {"archive", prefixes("10.2.0.0/16")}}, Closed: prefixes("10.7.0.0/16"),
			Allowed: []Rule{{From: prefixes("10.1.0.0/16"), To: prefixes("10.2.0.5/32"), Protocol: 6, Port: 104}, {From: prefixes("10.1.1.0/24"), To: prefixes("10.2.0.0/16")}},
		},
		Redirects: []Redirect{{ID: "pacs", From: prefixes("10.1.0.0/16"), To: netip.MustParseAddrPort("10.2.0.5:104"), Port: 11112, Lapses: 5 * time.Second}},
	}
}

func TestRulesAreWhatPeopleRead(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		f, err := Open(Options{ImagePorts: []uint16{104, 11112}})
		if err != nil {
			t.Error(err)
			return
		}
		if err := f.Change(t.Context(), func(rs *Ruleset) { *rs = everything() }); err != nil {
			t.Error(err)
			return
		}
		got := run("nft", "list", "ruleset")
		for _, want := range []string{
			"ip saddr @d_us1_at4 jump d_us1_from",
			"ether saddr @d_us1_mac jump d_us1_from",
			"fib daddr type local tcp dport @image_ports counter name \"d_us1.images\" return",
			"10.1.1.5 timeout 59m59s",
			"0.0.0.0/0 . 10.9.0.0/24 . tcp . 80-90 timeout",
			"counter name \"d_us1.dropped\" drop",
			"10.7.1.1 . 10.1.1.9 . tcp . 22 timeout",
			"10.1.0.0/16 . 10.2.0.5 . tcp . 104 }",
			"tproxy ip to 127.0.0.1:11112 meta mark set 0x0000436f counter name \"redirect_d_pacs\" accept",
			comment,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("without %q", want)
			}
		}
		if t.Failed() {
			t.Log(got)
		}
		if s, err := f.State(t.Context()); err != nil || !s.Applied || s.Empty || len(s.Counters) != 11 {
			t.Errorf("%+v, %v", s, err)
		}
		if err := f.Remove(t.Context()); err != nil {
			t.Error(err)
		}
		if got := run("nft", "list", "ruleset"); strings.TrimSpace(got) != "" {
			t.Error(got)
		}
	})
}

// What the kernel refuses changes nothing, here or there.
func TestAChangeThatFailsLeavesWhatWas(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		f, err := Open(Options{ImagePorts: []uint16{104}})
		if err != nil {
			t.Error(err)
			return
		}
		if err := f.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{ultrasound(time.Time{})} }); err != nil {
			t.Error(err)
			return
		}
		before := run("nft", "-s", "list", "ruleset")
		for _, change := range []func(*Ruleset){
			func(rs *Ruleset) { rs.Contained[0].Addresses = nil },
			func(rs *Ruleset) { rs.Contained[0].Addresses = prefixes("0.0.0.0/0") },
			func(rs *Ruleset) { rs.Contained[0].Level = "some" },
			func(rs *Ruleset) { rs.Contained = append(rs.Contained, rs.Contained[0]) },
			func(rs *Ruleset) { rs.Openings = []Opening{{}} },
			func(rs *Ruleset) { rs.Plan = &Plan{} },
			func(rs *Ruleset) { rs.Redirects = []Redirect{{ID: "x"}} },
		} {
			if err := f.Change(t.Context(), change); err == nil {
				t.Error("no error")
			}
		}
		if after := run("nft", "-s", "list", "ruleset"); after != before {
			t.Error(after)
		}
		if s, err := f.State(t.Context()); err != nil || !s.Applied {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestOverlappingRulesAreSeveralSets(t *testing.T) {
	v := &versions[0]
	rules := []Rule{
		{From: prefixes("10.1.0.0/16"), To: prefixes("10.2.0.5/32"), Protocol: 6, Port: 104},
		{From: prefixes("10.1.1.5/32"), To: prefixes("10.2.0.5/32"), Protocol: 6, Port: 104}, // in the first
		{From: prefixes("10.1.1.0/24"), To: prefixes("10.2.0.0/16"), Protocol: 6},            // overlaps it
		{From: prefixes("10.3.0.0/16"), To: prefixes("10.2.0.5/32"), Protocol: 6, Port: 104},
	}
	sets := tuples("x", v, rules, time.Time{})
	if len(sets) != 2 || len(sets[0].elements) != 2 || len(sets[1].elements) != 1 {
		t.Errorf("%+v", sets)
	}
}

func TestNamesStayApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"us1", "us-1", "us.1", "us_1", "US1", "d_us1", "ultraschall süd", "ultraschall s d", strings.Repeat("a", 40), strings.Repeat("a", 41), strings.Repeat("a", 300), ""} {
		id := identifier(name)
		if other, there := seen[id]; there || len(id) > 80 {
			t.Errorf("%q and %q are both %q", name, other, id)
		}
		seen[id] = name
	}
}
