package interop

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/incident"
	"cordon/inspect/compose"
	"cordon/interop/lab"
)

// labHospital is a lab with Cordon on its router, Orthanc as its archive, and DCMTK as
// the scanners' software.
type labHospital struct {
	*lab.Hospital
	t      *testing.T
	config string
	dir    string
	cordon *process
}

const orthancREST = "127.0.0.1:8042" // in the archive's namespace

// newLabHospital builds it and starts nothing. more is added to Cordon's configuration.
func newLabHospital(t *testing.T, shape lab.Shape, more string) *labHospital {
	t.Helper()
	h := &labHospital{Hospital: lab.New(t, shape), t: t, dir: t.TempDir()}
	h.config = filepath.Join(h.dir, "cordon.yaml")
	write(t, h.config, fmt.Sprintf(`site: Lab
data: %s
gateway: {listen: '0.0.0.0:104', unknown_devices: refuse}
console: {listen: '127.0.0.1:8080'}
archives: [{name: pacs, ae_title: ORTHANC, address: '%s:4242'}]
devices:
  - {name: us-1, ae_title: US1, addresses: [%s/32], inventory: {modality: US, vendor: Acme, model: Echo 3}, flows: [{purpose: dns, protocol: udp, port: 53, to: [%s/32], needed: true}, {purpose: time, protocol: udp, port: 123, to: [%s/32], needed: true}]}
  - {name: us-2, ae_title: US2, addresses: [%s/32], inventory: {modality: US, vendor: Acme, model: Echo 3}}
  - {name: viewer, ae_title: VIEW, addresses: [%s/32], inventory: {modality: WS}}
%s`, filepath.Join(h.dir, "data"), h.Archive.Addr, h.US1.Addr, h.Services.Addr, h.Services.Addr, h.US2.Addr, h.Workstation.Addr, anyDisk+more))
	h.startOrthanc()
	return h
}

func (h *labHospital) startOrthanc() {
	h.t.Helper()
	dir := h.t.TempDir()
	text, err := json.Marshal(map[string]any{
		"Name": "peer", "StorageDirectory": dir, "IndexDirectory": dir, "Plugins": []string{},
		"DicomAet": "ORTHANC", "DicomPort": 4242, "DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,
		"HttpPort": 8042, "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	file := filepath.Join(dir, "orthanc.json")
	write(h.t, file, string(text))
	launch(h.t, "ip", h.Archive.Command("Orthanc", file)[1:]...)
	await(h.t, "Orthanc", func() bool {
		c, err := h.Archive.Dial(orthancREST, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// archived is how many instances the archive has.
func (h *labHospital) archived() int {
	h.t.Helper()
	var s struct{ CountInstances int }
	if err := json.Unmarshal([]byte(h.Archive.Run(h.t, "curl", "-sf", "http://"+orthancREST+"/statistics")), &s); err != nil {
		h.t.Fatal(err)
	}
	return s.CountInstances
}

// start starts Cordon on the router, again perhaps.
func (h *labHospital) start() {
	h.t.Helper()
	h.cordon = launch(h.t, "ip", h.Router.Command(cordonProgram(h.t), "up", "--config", h.config)[1:]...)
	await(h.t, "Cordon", func() bool { return strings.Contains(h.cordon.printed(), `"msg":"ready"`) })
}

// cli runs a command of Cordon's.
func (h *labHospital) cli(args ...string) (string, error) {
	return h.Router.Try(append([]string{cordonProgram(h.t)}, append(args, "--config", h.config)...)...)
}

// said are the bodies of the ledger's records of a kind, with their times.
func (h *labHospital) said(kind string) (out []ledgerRecord) {
	h.t.Helper()
	text, err := h.cli("ledger", "tail", "-n", "10000", "--json")
	if err != nil {
		h.t.Fatal(err, text)
	}
	for line := range strings.Lines(text) {
		var r ledgerRecord
		if json.Unmarshal([]byte(line), &r) == nil && r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

type ledgerRecord struct {
	Time time.Time
	Kind string
	Body map[string]any
}

// rules are all rules of the router but for counts and numbers that the kernel gives.
func (h *labHospital) rules() string {
	h.t.Helper()
	return h.Router.Run(h.t, "nft", "-s", "list", "ruleset")
}

// images writes so many to a directory.
func (h *labHospital) images(n, side int) (files []string) {
	h.t.Helper()
	dir := h.t.TempDir()
	study := compose.NewUID()
	for i := range n {
		o := compose.CT(side, side)
		o.Study = study
		file := filepath.Join(dir, fmt.Sprintf("%05d.dcm", i))
		write(h.t, file, string(o.File()))
		files = append(files, file)
	}
	return files
}

// shot is one image that a scanner has sent.
type shot struct {
	at   time.Time
	took time.Duration
	err  error
}

// scan sends images from a scanner with storescu, an association for each, one after
// the other, so many a second at the most, and tells each.
func (h *labHospital) scan(ctx context.Context, from *lab.Host, title string, files []string, every time.Duration) []shot {
	var out []shot
	tick := time.NewTicker(every)
	defer tick.Stop()
	to := from.Network.Addr().Next().String()
	for _, f := range files {
		select {
		case <-ctx.Done():
			return out
		case <-tick.C:
		}
		began := time.Now()
		text, err := from.Try("env", "TCP_NODELAY=1", "storescu", "-to", "20", "-td", "60", "-aet", title, "-aec", "CORDON", to, "104", f)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, text)
		}
		out = append(out, shot{began, time.Since(began), err})
	}
	return out
}

func slowest(shots []shot) (median, most time.Duration, failed int) {
	var all []time.Duration
	for _, s := range shots {
		if s.err != nil {
			failed++
			continue
		}
		all = append(all, s.took)
	}
	if len(all) == 0 {
		return 0, 0, failed
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1], failed
}

// automatic has a site contain a device at once for whatever its sensor has proof of.
const automatic = `network:
  capture: {interfaces: [to-us-1, to-us-2, to-laptop]}
plan:
  zones:
    - {name: modalities, networks: [10.77.11.0/24, 10.77.12.0/24]}
    - {name: archive, networks: [10.77.20.0/24]}
    - {name: workstations, networks: [10.77.30.0/24]}
    - {name: general, networks: [10.77.40.0/24, 10.77.60.0/24]}
    - {name: visitors, networks: [10.77.50.0/24]}
containment:
  automatic: [{rules: [NET-LATERAL, NET-EAST-WEST, 'NET-SCAN-*'], do: contain}]
`

// A worm on a scanner that nobody may patch (X1, X2): it is contained within two
// seconds of its first packet, and the scanner goes on making images, all of which
// arrive. When it is clean and restored, the router's rules are what they were.
func TestInfectedScannerWorksOnAndHarmsNobody(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, automatic)
	foreign := "table inet hospital { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }"
	h.Router.Run(t, "nft", foreign)
	h.start()
	before := h.rules()
	most := scenarioImages(t)
	files, others := h.images(most, 128), h.images(most, 128)

	general := h.General.Expose(t, 445, 135, 3389)
	var targets []netip.AddrPort
	for _, a := range h.Further(40) {
		for _, port := range []uint16{445, 135, 3389} {
			targets = append(targets, netip.AddrPortFrom(a, port))
		}
	}
	forbidden := h.General.Count(t, h.US1)
	scanner, healthy := make(chan []shot, 1), make(chan []shot, 1)
	var scanning sync.WaitGroup
	defer scanning.Wait()
	scanning.Go(func() { scanner <- h.scan(t.Context(), h.US1, "US1", files, 20*time.Millisecond) })
	scanning.Go(func() { healthy <- h.scan(t.Context(), h.US2, "US2", others, 20*time.Millisecond) })
	await(t, "the first images", func() bool { return h.archived() >= most/4 })

	worm := h.US1.Infect(t, targets, 50)
	await(t, "containment", func() bool { return len(h.said("containment.applied")) > 0 })
	applied := h.said("containment.applied")[0].Time
	alarmed := h.said("network.alert")[0].Time
	time.Sleep(100 * time.Millisecond)
	at := forbidden.Packets(t)

	sick, well := <-scanner, <-healthy
	worm.Stop()
	if after := forbidden.Packets(t); after != at {
		t.Errorf("%d forbidden packets arrived after containment", after-at)
	}
	if hits := general.Hits(); len(hits) > 0 && hits[len(hits)-1].After(applied) {
		t.Errorf("a marker arrived %v after containment", hits[len(hits)-1].Sub(applied))
	}
	await(t, "all images in the archive", func() bool { return h.archived() == 2*most })
	for name, shots := range map[string][]shot{"the infected scanner": sick, "the other": well} {
		free, inside := split(shots, applied)
		m1, s1, f1 := slowest(free)
		m2, s2, f2 := slowest(inside)
		t.Logf("%s: %d images before, median %v, slowest %v; %d after, median %v, slowest %v", name, len(free), m1, s1, len(inside), m2, s2)
		if f1+f2 > 0 {
			t.Errorf("%s: %d images failed: %v", name, f1+f2, firstError(shots))
		}
	}
	if took := applied.Sub(worm.First()); took > 2*time.Second {
		t.Errorf("contained %v after the first forbidden packet", took)
	}
	t.Logf("alarm %v, contained %v after the first forbidden packet; %d of %d connections of the worm got through before", alarmed.Sub(worm.First()).Round(time.Millisecond), applied.Sub(worm.First()).Round(time.Millisecond), worm.Reached(), worm.Tries())

	h.restore("us-1")
	if now := h.rules(); now != before {
		t.Errorf("the rules differ after restore:\n%s\n--- before:\n%s", now, before)
	}
	story := h.story(1)
	if story.Device != "us-1" || story.First.After(applied) || story.Restored.IsZero() || !story.Images.AllThere() || story.Images.Made < most/4 {
		t.Errorf("%+v", story.Incident)
	}
	t.Logf("the story: first sign %v before containment, %d lines, %d images meanwhile, all there", story.Contained.Sub(story.First).Round(time.Millisecond), len(story.Events), story.Images.Made)
}

// scenarioImages is how many images each scanner sends: few, unless it is asked for
// more (make scenarios).
func scenarioImages(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("CORDON_SCENARIO_IMAGES"), "60"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// story is an incident's.
func (h *labHospital) story(id int) (s incident.Story) {
	h.t.Helper()
	text, err := h.cli("incident", "show", strconv.Itoa(id), "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		h.t.Fatal(err, text)
	}
	return s
}

// Two scanners of the same make are infected (X2): the first is contained by itself;
// the second would be the last of its kind, and is left to a person, who needs one
// command. Both go on.
func TestLastOfItsKindIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, strings.Replace(automatic, "containment:\n", "containment:\n  most: 5\n", 1))
	h.start()
	files := h.images(20, 128)
	h.General.Expose(t, 445)
	target := []netip.AddrPort{netip.AddrPortFrom(h.General.Addr, 445)}
	h.US1.Infect(t, target, 20)
	await(t, "containment of the first", func() bool { return len(h.said("containment.applied")) == 1 })
	h.US2.Infect(t, target, 20)
	await(t, "a proposal for the second", func() bool { return len(h.said("containment.proposed")) > 0 })
	if got := h.said("containment.proposed")[0].Body["device"]; got != "us-2" {
		t.Errorf("proposed: %v", got)
	}
	if n := len(h.said("containment.applied")); n != 1 {
		t.Errorf("%d are contained, though nobody said so", n)
	}
	if out, err := h.contain("us-2"); err != nil {
		t.Fatal(err, out)
	}
	from := map[*lab.Host]lab.Counter{h.US1: h.General.Count(t, h.US1), h.US2: h.General.Count(t, h.US2)}
	for s, title := range map[*lab.Host]string{h.US1: "US1", h.US2: "US2"} {
		half := files[:len(files)/2]
		if title == "US2" {
			half = files[len(files)/2:]
		}
		if shots := h.scan(t.Context(), s, title, half, time.Millisecond); firstError(shots) != nil {
			t.Errorf("%s: %v", title, firstError(shots))
		}
	}
	await(t, "all images in the archive", func() bool { return h.archived() == len(files) })
	for s, counter := range from {
		if n := counter.Packets(t); n != 0 {
			t.Errorf("%d forbidden packets of %s", n, s.Name)
		}
	}
}

// A worm goes from one radiography room to the next (X3), through the router or along
// their own segment: it stops at the first, and every room goes on imaging.
func TestSpreadStopsAtTheFirstRoom(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]lab.Shape{"routed": lab.Routed, "one segment": lab.Bridged} {
		t.Run(name, func(t *testing.T) {
			more := automatic
			if shape == lab.Bridged {
				more = strings.Replace(automatic, "interfaces: [to-us-1, to-us-2, to-laptop]", "interfaces: [to-us-1]", 1)
			}
			h := newLabHospital(t, shape, more)
			h.start()
			files := h.images(20, 128)
			next := h.US2.Expose(t, 445)
			viewer := h.Workstation.Expose(t, 445)
			worm := h.US1.Infect(t, []netip.AddrPort{netip.AddrPortFrom(h.US2.Addr, 445), netip.AddrPortFrom(h.Workstation.Addr, 445)}, 50)
			await(t, "containment", func() bool { return len(h.said("containment.applied")) > 0 })
			applied := h.said("containment.applied")[0].Time
			time.Sleep(100 * time.Millisecond)
			after := h.US2.Count(t, h.US1)
			for title, part := range map[string][]string{"US1": files[:10], "US2": files[10:]} {
				s := h.US1
				if title == "US2" {
					s = h.US2
				}
				if shots := h.scan(t.Context(), s, title, part, time.Millisecond); firstError(shots) != nil {
					t.Errorf("%s: %v", title, firstError(shots))
				}
			}
			await(t, "all images in the archive", func() bool { return h.archived() == len(files) })
			worm.Stop()
			for who, hits := range map[string][]time.Time{"the next room": next.Hits(), "the workstation": viewer.Hits()} {
				if len(hits) > 0 && hits[len(hits)-1].After(applied) {
					t.Errorf("%s was reached %v after containment", who, hits[len(hits)-1].Sub(applied))
				}
			}
			if n := after.Packets(t); n != 0 {
				t.Errorf("%d packets reached the next room after containment", n)
			}
			t.Logf("contained %v after the first forbidden packet; %d of %d connections got through before", applied.Sub(worm.First()).Round(time.Millisecond), worm.Reached(), worm.Tries())
		})
	}
}

func split(shots []shot, at time.Time) (before, after []shot) {
	for _, s := range shots {
		if s.at.Before(at) {
			before = append(before, s)
		} else {
			after = append(after, s)
		}
	}
	return before, after
}

func firstError(shots []shot) error {
	for _, s := range shots {
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// restore has two people say that a device is clean.
func (h *labHospital) restore(device string) {
	h.t.Helper()
	proof := filepath.Join(h.t.TempDir(), "scan.txt")
	write(h.t, proof, "scanned from a boot disk: nothing found\n")
	for _, who := range []string{"A. Able", "B. Best"} {
		if out, err := h.cli("device", "restore", device, "--proof", proof, "--as", who, "--reason", "clean"); err != nil {
			h.t.Fatal(err, out)
		}
	}
}
