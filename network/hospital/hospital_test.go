package hospital_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"cordon/network"
	"cordon/network/frame"
	"cordon/network/hospital"
	"cordon/network/pcap"
	"cordon/network/track"
)

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// watch holds packets against the hospital's declarations, in as little time as it
// takes.
func watch(t testing.TB, h *hospital.Hospital, packets []hospital.Packet) ([]network.Alert, *network.Watch, track.Stats) {
	t.Helper()
	w, err := network.New(t.Context(), h.Config(), network.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	table := track.New(w, track.Config{Sensor: "test"})
	var p frame.Packet
	tick := packets[0].At
	for _, one := range packets {
		for one.At.Sub(tick) > 50*time.Millisecond {
			tick = tick.Add(50 * time.Millisecond)
			table.Tick(tick)
			if one.At.Sub(tick) > time.Second {
				tick = one.At
			}
		}
		if frame.Ethernet(&p, one.Data) {
			table.Packet(one.At, &p)
		}
	}
	end := packets[len(packets)-1].At.Add(time.Second)
	table.Tick(end)
	table.Close(end)
	return w.Drain(), w, table.Stats()
}

func TestAnHourOfWorkRaisesNothing(t *testing.T) {
	h := hospital.New()
	for seed := range uint64(3) {
		packets := h.Hour(monday, seed+1)
		begun := time.Now()
		alerts, w, st := watch(t, h, packets)
		for _, a := range alerts {
			t.Errorf("%s %s (%s), %d times: %s", a.Rule, a.Device, a.Address, a.Count, a.Detail)
		}
		rows, err := w.Seen(t.Context())
		if err != nil || len(rows) < 50 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		t.Logf("seed %d: %d packets, %.1f GB in %v; %d odd, %d rows", seed+1, st.Packets, float64(st.Bytes)/1e9, time.Since(begun).Round(time.Millisecond), st.Odd, len(rows))
	}
}

// Each hostile story, in the middle of an hour of work, raises what it is, of whom it
// is, and nothing of anybody else.
func TestHostileStories(t *testing.T) {
	h := hospital.New()
	us1, us2, mr1 := h.Modalities[0], h.Modalities[1], h.Modalities[3]
	at := monday.Add(25 * time.Minute)
	for _, c := range []struct {
		name   string
		tell   func(s *hospital.Story)
		device string
		rules  []string // all of them
		may    bool     // something may be done to the device
	}{
		{"worm on SMB", func(s *hospital.Story) { s.Worm(at, us1, 445, 60, 50*time.Millisecond) }, "us1", []string{network.Lateral, network.ScanHosts, network.RateStep}, true},
		{"worm of a device that is learned", func(s *hospital.Story) { s.Worm(at, mr1, 135, 40, 100*time.Millisecond) }, "mr1", []string{network.Lateral, network.ScanHosts}, true},
		{"modality to modality", func(s *hospital.Story) { s.Call(at, us1, us2, 8080) }, "us1", []string{network.EastWest}, true},
		{"past the gateway to the archive", func(s *hospital.Story) { s.Call(at, us1, h.PACS, 104) }, "us1", []string{network.NewPeer}, true},
		{"another service", func(s *hospital.Story) { s.Call(at, us1, h.Licence, 8443) }, "us1", []string{network.NewService}, true},
		{"ports of one host", func(s *hospital.Story) {
			for i := range 20 {
				s.Try(at.Add(time.Duration(i)*time.Second), us1, h.Backup, uint16(8000+i))
			}
		}, "us1", []string{network.NewPeer, network.ScanPorts}, true},
		{"beacon that varies by a third", func(s *hospital.Story) {
			s.Beacon(at.Add(-20*time.Minute), us1, h.Outside(250), 20, 2*time.Minute, 0.33)
		}, "us1", []string{network.NewPeer, network.Beacon}, true},
		{"forged calls of an innocent device", func(s *hospital.Story) {
			for i := range 40 {
				s.Forge(at.Add(time.Duration(i)*50*time.Millisecond), us1, h.Office[0], hospital.At(1+i), 445)
			}
		}, "us1", []string{network.Lateral, network.ScanHosts, network.AddressChange}, false},
		{"forged calls of the archive", func(s *hospital.Story) {
			for i := range 40 {
				s.Forge(at.Add(time.Duration(i)*50*time.Millisecond), h.PACS, h.Office[0], hospital.At(1+i), 445)
			}
		}, "", []string{network.StrangerScans}, false},
		{"somebody takes a device's address", func(s *hospital.Story) { s.Claim(at, us1, h.Office[0]) }, "us1", []string{network.AddressChange}, false},
		{"somebody with the device's address holds conversations", func(s *hospital.Story) {
			s.Call(at, hospital.Host{Addr: us1.Addr, MAC: h.Office[0].MAC}, hospital.At(3), 445)
		}, "us1", []string{network.Lateral, network.AddressChange}, false},
		{"flood of the gateway", func(s *hospital.Story) { s.Flood(at, h.Office[0], h.Gateway, 104, 1000, time.Millisecond) }, "", []string{network.SYNFlood}, false},
		{"a stranger calls a device", func(s *hospital.Story) { s.Call(at, h.Office[0], us1, 80) }, "us1", []string{network.Inbound}, false},
		{"a vendor without a ticket", func(s *hospital.Story) { s.Call(at, hospital.At(9), us1, 5900) }, "us1", []string{network.Inbound}, false},
		{"a laptop scans", func(s *hospital.Story) {
			for i := range 50 {
				s.Try(at.Add(time.Duration(i)*20*time.Millisecond), hospital.At(9), hospital.At(50+i), 445)
			}
		}, "", []string{network.StrangerScans}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := h.Story(monday, 27*time.Minute, 7)
			s.Work()
			c.tell(s)
			alerts, _, _ := watch(t, h, s.Packets())
			var found []string
			may := false
			for _, a := range alerts {
				found = append(found, a.Rule)
				may = may || a.May()
				if a.Device != c.device {
					t.Errorf("%s of %q: %s", a.Rule, a.Device, a.Detail)
				}
			}
			slices.Sort(found)
			found = slices.Compact(found)
			want := slices.Sorted(slices.Values(c.rules))
			if !slices.Equal(found, want) || may != c.may {
				for _, a := range alerts {
					t.Logf("%s %s %q acted %v proof %q %s", a.Rule, a.Device, a.Group, a.Acted, a.Proof, a.Detail)
				}
				t.Errorf("found %v, something may be done %v; expected %v, %v", found, may, want, c.may)
			}
		})
	}
}

// What was written as a file is read as it was.
func TestRecordedTrafficReadsBack(t *testing.T) {
	h := hospital.New()
	packets := h.Hour(monday, 1)[:1000]
	var file bytes.Buffer
	if err := hospital.Write(&file, packets); err != nil {
		t.Fatal(err)
	}
	r, err := pcap.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range packets {
		at, data, err := r.Next()
		if err != nil || !bytes.Equal(data, want.Data) || !at.Equal(want.At.Truncate(time.Microsecond)) {
			t.Fatalf("packet %d: %v, %v", i, at, err)
		}
	}
}
