package flow

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/asset"
	"cordon/console"
	"cordon/console/view"
	"cordon/custody"
	"cordon/history"
	"cordon/ledger"
	"cordon/network"
	"cordon/people"
	"cordon/policy"
	"cordon/store"
)

// evil is what a device may call itself, or an image say of itself.
const evil = `"><i class=x></i><script>alert(1)</script>`

// house is the pages over a real database, with a status that tests write.
type house struct {
	mux     *http.ServeMux
	history *history.History
	status  console.Status
	seen    []network.Seen
	asked   int
	who     people.Identity
}

func newHouse(t *testing.T, devices ...policy.Device) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), asset.Migrations(), history.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	site := policy.Site{AETitle: "CORDON", Archives: []policy.Archive{{Name: "pacs"}}, Devices: devices}
	register, err := asset.Open(t.Context(), db, l, site)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{mux: http.NewServeMux(), history: history.Open(db), who: people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}}}
	h.status = console.Status{Level: console.Well, Says: []string{"Imaging is flowing."}, Flow: console.Flow{Accepting: true, Archives: []console.Archive{{Name: "pacs", Address: "192.0.2.9:104", Up: true, Asked: true}}}}
	for _, r := range Routes(Parts{
		Status: func(context.Context) (console.Status, error) { h.asked++; return h.status, nil },
		HeldBy: func(context.Context) (map[string]custody.HeldSum, error) {
			return map[string]custody.HeldSum{"us-1": {Studies: 2}}, nil
		},
		History: h.history, View: view.New(view.Config{Site: "Test"}), Devices: register, Site: func() policy.Site { return site },
		Seen:      func(context.Context) ([]network.Seen, error) { return h.seen, nil },
		Contained: func(name string) string { return map[string]string{"us-2": "image_only"}[name] },
	}) {
		h.mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, rq *http.Request) {
			r.Handler(w, rq.WithContext(people.With(rq.Context(), h.who)))
		})
	}
	return h
}

func (h *house) get(t *testing.T, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestFlowSaysWhatIsWrongFirst(t *testing.T) {
	h := newHouse(t)
	h.status.Level = console.Degraded
	h.status.Says = []string{"Imaging goes on.", "1 object was found harmful: recall it (cordon recall list)."}
	h.status.Devices = []console.Device{{Name: "ct-1", LastSeen: time.Now()}, {Name: "us-1", LastSeen: time.Now()}, {Name: "us-2", LastSeen: time.Now()}, {AETitle: "NEW", Learned: true}}
	page := h.get(t, "/")
	for _, want := range []string{"Imaging goes on.</h1>", `recall it. <a href="/engines">`, "contained: images only", `<a href="/held?from=us-1">2</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if a, b, c := strings.Index(page, ">us-2<"), strings.Index(page, ">NEW<"), strings.Index(page, ">ct-1<"); a > b || b > c {
		t.Error("the contained device is not the first, or the learned one not the second", a, b, c)
	}
	h.who = people.Identity{}
	if page := h.get(t, "/?"); strings.Contains(page, `href="/held`) || strings.Contains(page, `href="/engines"`) {
		t.Error("links for nobody")
	}
}

func TestHostileNamesAreText(t *testing.T) {
	h := newHouse(t)
	h.status.Says = append(h.status.Says, evil)
	h.status.Devices = []console.Device{{Name: evil, AETitle: evil, Address: evil, LastSeen: time.Now()}}
	h.status.Archives = []console.Archive{{Name: evil, Address: evil, LastError: evil}}
	h.seen = []network.Seen{{Device: evil, Peer: evil + "2", Protocol: network.TCP, Port: 445, Last: time.Now()}}
	now := time.Now()
	for i := range 2 { // a total that grows
		if err := h.history.Add(t.Context(), now.Add(time.Duration(i)*time.Minute), history.Sample{Totals: map[string]float64{"device." + evil: float64(i * 5)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/", "/flow/now", "/map", "/map.svg", "/map?device=" + "%22%3E%3Ci%20class%3Dx%3E", "/?span=%22%3E%3Ci%20class%3Dx%3E"} {
		if page := h.get(t, path); strings.Contains(page, "<i class") || strings.Contains(page, "<script>alert") || strings.Contains(page, ` class=x>"`) {
			t.Errorf("%s:\n%s", path, page)
		}
	}
}

// However many look, the database is asked once a second.
func TestManyWhoLookAskOnce(t *testing.T) {
	h := newHouse(t)
	for range 50 {
		h.get(t, "/flow/now")
	}
	if h.asked > 3 {
		t.Errorf("asked %d times", h.asked)
	}
}

func TestEventsTellWhatChangesAndEndWithTheirReader(t *testing.T) {
	h := newHouse(t)
	server := httptest.NewServer(h.mux)
	defer server.Close()
	listen := func(ctx context.Context) *http.Response {
		rq, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/flow/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		rsp, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		return rsp
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []*http.Response
	for range maxListeners {
		all = append(all, listen(ctx))
	}
	one := bufio.NewReader(all[0].Body)
	for {
		line, err := one.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "event: changed\n" {
			break
		}
	}
	if rsp := listen(ctx); rsp.StatusCode != http.StatusServiceUnavailable {
		t.Error("there is no end of listeners:", rsp.Status)
	}
	for _, rsp := range all {
		rsp.Body.Close()
	}
	for rsp := listen(ctx); rsp.StatusCode != http.StatusOK; rsp = listen(ctx) {
		if ctx.Err() != nil {
			t.Fatal("the places of those who went are not free")
		}
		rsp.Body.Close()
		time.Sleep(50 * time.Millisecond)
	}
}

// A page that is open does not hold up the end of Cordon.
func TestEventsEndWithTheServer(t *testing.T) {
	h := newHouse(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- console.Serve(ctx, l, h.mux, slog.New(slog.DiscardHandler)) }() // ends with ctx
	rsp, err := http.Get("http://" + l.Addr().String() + "/flow/events")
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	began := time.Now()
	stop()
	if err := <-ended; err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("ended after %v: %v", time.Since(began), err)
	}
}

func TestChartsAddUpWhatWasCounted(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	for i, total := range []float64{0, 4, 9, 9} {
		if err := h.history.Add(t.Context(), now.Add(time.Duration(i-4)*time.Minute), history.Sample{Totals: map[string]float64{"objects.received": total}, Levels: map[string]float64{"queue.oldest": total * 60}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "shift", "nonsense"} {
		s := &pages{Parts: Parts{View: view.New(view.Config{}), History: h.history}}
		all, span, err := s.charts(t.Context(), now, name)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"shift": "shift"}[name]; want != "" && span != want || len(all) != len(plots) {
			t.Errorf("%q: %s, %d charts", name, span, len(all))
		}
		sum := 0.0
		for _, v := range all[0].Series[0].Values {
			sum += *v
		}
		top := 0.0
		for _, v := range all[3].Series[0].Values {
			top = max(top, *v)
		}
		if sum != 9 || top != 9 {
			t.Errorf("%s: %v received, the oldest %v minutes", span, sum, top)
		}
		var chart struct{ Times []int64 }
		if text, err := all[0].JSON(); err != nil || json.Unmarshal([]byte(text), &chart) != nil || len(chart.Times) != len(all[0].Times) {
			t.Error(text, err)
		}
	}
}

func TestStripIsHotWhereMuchCame(t *testing.T) {
	values := make([]float64, cells)
	values[0], values[1], values[95] = 1, 100, 26
	s := newStrip("us-1", values, 100)
	for heat, want := range map[int]string{1: "M0 8h6", 2: "", 3: fmt.Sprintf("M%d 8h6", 95*cellWidth), 4: "M7 8h6"} {
		if s.Heat[heat] != want {
			t.Errorf("heat %d: %q, want %q", heat, s.Heat[heat], want)
		}
	}
	if s.Hours[0] != 101 || s.Hours[23] != 26 {
		t.Error(s.Hours)
	}
}

func TestMapJoinsWhatIsDeclaredAndSeen(t *testing.T) {
	h := newHouse(t, policy.Device{Name: "us-1", AETitle: "US1", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}, policy.Device{Name: "ct-1", AETitle: "CT1"})
	seen := func(device, src, peer, dst string, port uint16, allowed bool) network.Seen {
		return network.Seen{Device: device, Src: netip.MustParseAddr(src), Peer: peer, Dst: netip.MustParseAddr(dst), Protocol: network.TCP, Port: port, Allowed: allowed, Last: time.Now()}
	}
	h.seen = []network.Seen{
		seen("us-1", "192.0.2.1", "gateway", "192.0.2.3", 104, true),
		seen("us-1", "192.0.2.1", "pacs", "192.0.2.9", 445, false),
		seen("", "203.0.113.5", "us-1", "192.0.2.1", 3389, false),
	}
	page := h.get(t, "/map")
	for _, want := range []string{"192.0.2.1", "203.0.113.5", "tcp/445", "tcp/3389", "g-undeclared", "g-declared", "g-seen"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(page, `<tr class="look">`); n != 2 {
		t.Errorf("%d lines that nobody declared", n)
	}
	if page := h.get(t, "/map?show=undeclared&device=pacs"); strings.Contains(page, ">203.0.113.5<") || !strings.Contains(page, "tcp/445") {
		t.Error("the filter does not filter:", page)
	}
	if file := h.get(t, "/map.svg?show=undeclared"); !strings.HasPrefix(file, "<?xml") || strings.Contains(file, "ct-1") {
		t.Error(file)
	}
}

// A hospital of sixty devices, each with some of everything, fits into the page.
func TestPagesOfManyDevicesAreSmall(t *testing.T) {
	var devices []policy.Device
	for i := range 60 {
		devices = append(devices, policy.Device{Name: fmt.Sprintf("device-%02d", i), AETitle: "X", Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)}})
	}
	h := newHouse(t, devices...)
	at := time.Now().Add(-24 * time.Hour)
	for i := range 97 {
		sample := history.Sample{Totals: map[string]float64{}}
		for j, d := range devices {
			sample.Totals["device."+d.Name] = float64((i + 1) * (j + 3) * (i%7 + 2))
		}
		if err := h.history.Add(t.Context(), at.Add(time.Duration(i)*15*time.Minute), sample); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range devices {
		h.status.Devices = append(h.status.Devices, console.Device{Name: d.Name, AETitle: "X", Address: "192.0.2.1", LastSeen: time.Now(), Objects: 12345})
		for j := range 6 {
			h.seen = append(h.seen, network.Seen{Device: d.Name, Src: d.Addresses[0].Addr(), Dst: netip.AddrFrom4([4]byte{198, 51, 100, byte(j)}), Protocol: network.TCP, Port: uint16(440 + i%3), Last: time.Now()})
		}
	}
	for _, path := range []string{"/", "/map"} {
		page := h.get(t, path)
		t.Logf("%s: %d bytes", path, len(page))
		if len(page) > 150_000 {
			t.Errorf("%s: %d bytes", path, len(page))
		}
	}
}
