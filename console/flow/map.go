package flow

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"cordon/asset"
	"cordon/network"
	"cordon/policy"
)

// Wire is one line of the map: somebody, and whom they talk to.
type Wire struct {
	From, To string
	Service  string // "DICOM: store, query"; "tcp/445"
	Declared bool
	Seen     time.Time // the last time; zero: never
	Zone     string    // of From
}

// Kind is how a wire is drawn: declared and seen, declared alone, seen alone.
func (w Wire) Kind() string {
	switch {
	case w.Seen.IsZero():
		return "unseen"
	case !w.Declared:
		return "undeclared"
	}
	return "both"
}

// filter is what of the map is shown.
type filter struct {
	Device, Zone, Show string // Show: "", seen, declared, undeclared
}

func (f filter) shows(w Wire) bool {
	switch {
	case f.Device != "" && w.From != f.Device && w.To != f.Device, f.Zone != "" && w.Zone != f.Zone:
		return false
	case f.Show == "seen":
		return !w.Seen.IsZero()
	case f.Show == "declared":
		return w.Declared
	case f.Show == "undeclared":
		return w.Kind() == "undeclared"
	}
	return true
}

// Query is the filter as an address has it, from one of the table's rows on.
func (f filter) Query(from int) string {
	q := url.Values{}
	for key, value := range map[string]string{"device": f.Device, "zone": f.Zone, "show": f.Show} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if from > 0 {
		q.Set("from", strconv.Itoa(from))
	}
	return q.Encode()
}

// mapped is what the page of the map shows.
type mapped struct {
	filter
	From, Of int    // the first row of the table that is shown, and how many there are
	Wires    []Wire // the table
	Drawing  template.HTML
	Left     int // lines that the picture has no room for
	Zones    []string
	Names    []string
}

// Next is the first row of the table's next page, 0 if there is none; Before that of
// the one before.
func (d mapped) Next() int {
	if d.From+len(d.Wires) < d.Of {
		return d.From + len(d.Wires)
	}
	return 0
}

func (d mapped) Before() int { return max(0, d.From-tableRows) }

// Last is the number of the last row that is shown.
func (d mapped) Last() int { return d.From + len(d.Wires) }

// First is the number of the first row that is shown, counted from 1.
func (d mapped) First() int { return d.From + 1 }

const (
	gatewayName = "Cordon"
	tableRows   = 100  // on one page
	mostLines   = 250  // drawn on a page
	mostFile    = 2000 // drawn in a file
)

func (s *pages) showMap(w http.ResponseWriter, r *http.Request) {
	f := filterOf(r)
	all, known, err := s.wires(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	d := mapped{filter: f}
	for _, v := range all {
		d.Zones, d.Names = with(d.Zones, known[v.From].zone), with(with(d.Names, v.From), v.To)
	}
	slices.Sort(d.Zones)
	slices.Sort(d.Names)
	shown := f.of(all)
	g, left := s.graph(shown, known, mostLines)
	d.Drawing, d.Left, d.Of = g.Page(), left, len(shown)
	d.From, _ = strconv.Atoi(r.URL.Query().Get("from"))
	d.From = min(max(0, d.From), len(shown))
	d.Wires = shown[d.From:min(len(shown), d.From+tableRows)]
	s.chart.Show(w, r, d)
}

// drawMap hands the picture out, as a file.
func (s *pages) drawMap(w http.ResponseWriter, r *http.Request) {
	all, known, err := s.wires(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	g, _ := s.graph(filterOf(r).of(all), known, mostFile)
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Disposition", `attachment; filename="map.svg"`)
	w.Write(g.File())
}

func filterOf(r *http.Request) filter {
	q := r.URL.Query()
	return filter{q.Get("device"), q.Get("zone"), q.Get("show")}
}

func (f filter) of(all []Wire) (out []Wire) {
	for _, w := range all {
		if f.shows(w) {
			out = append(out, w)
		}
	}
	return out
}

func with(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// party is somebody on the map.
type party struct {
	zone, address string
	calls         bool // it is a device, or an address that calls: it stands on the left
	look          bool // somebody must look at it
}

// wires joins what is declared and what is seen. known are all who are on the map.
func (s *pages) wires(ctx context.Context) ([]Wire, map[string]party, error) {
	m := sketch{wires: map[[3]string]*Wire{}, known: map[string]party{}}
	if err := s.gatewayWires(ctx, m); err != nil {
		return nil, nil, err
	}
	if err := s.declaredWires(ctx, m); err != nil {
		return nil, nil, err
	}
	if err := s.networkWires(ctx, m); err != nil {
		return nil, nil, err
	}
	var out []Wire
	for _, w := range m.wires {
		w.Zone = m.known[w.From].zone
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b Wire) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Service, b.Service))
	})
	return out, m.known, nil
}

// order has what nobody declared first: it is what somebody looks for.
func order(w Wire) int { return slices.Index([]string{"undeclared", "both", "unseen"}, w.Kind()) }

// sketch is the map while it is put together.
type sketch struct {
	wires map[[3]string]*Wire
	known map[string]party
}

// note says what an address is for that nothing else is known of.
func (m sketch) note(name, purpose string) {
	if _, ok := m.known[name]; !ok {
		m.known[name] = party{address: purpose}
	}
}

func (m sketch) add(w Wire) {
	for _, name := range []string{w.From, w.To} {
		if _, ok := m.known[name]; !ok && name != gatewayName {
			m.known[name] = party{calls: name == w.From}
		}
	}
	key := [3]string{w.From, w.To, w.Service}
	old, ok := m.wires[key]
	if !ok {
		m.wires[key] = &w
		return
	}
	old.Declared = old.Declared || w.Declared
	if w.Seen.After(old.Seen) {
		old.Seen = w.Seen
	}
}

// gatewayWires are what passes through Cordon.
func (s *pages) gatewayWires(ctx context.Context, m sketch) error {
	now, err := s.state(ctx)
	if err != nil {
		return err
	}
	all, err := s.Devices.List(ctx)
	if err != nil {
		return err
	}
	descriptions, err := s.Devices.Inventories(ctx)
	if err != nil {
		return err
	}
	for _, v := range all {
		p := party{zone: cmp.Or(descriptions[v.Name].Zone, s.View.Text("map.no_zone")), calls: true, look: v.State == asset.Learned || s.level(v.Name) != ""}
		if len(v.Addresses) > 0 {
			p.address = v.Addresses[0]
		} else if d, ok := s.declared(v.Name); ok && len(d.Addresses) > 0 {
			p.address = plainly(d.Addresses[0])
		}
		m.known[v.Name] = p
		m.add(Wire{From: v.Name, To: gatewayName, Service: "DICOM", Declared: v.State == asset.Declared || v.State == asset.Approved, Seen: v.LastSeen})
	}
	for _, a := range now.Archives {
		if _, ok := m.known[a.Name]; !ok {
			m.known[a.Name] = party{zone: s.View.Text("map.archives"), address: a.Address, look: !a.Up}
		}
		w := Wire{From: gatewayName, To: a.Name, Service: "DICOM", Declared: a.Address != ""}
		if a.LastDelivered != nil {
			w.Seen = *a.LastDelivered
		}
		m.add(w)
	}
	return nil
}

// networkWires are what sensors see.
func (s *pages) networkWires(ctx context.Context, m sketch) error {
	if s.Seen == nil {
		return nil
	}
	all, err := s.Seen(ctx)
	for _, v := range all {
		from, to := end(v.Device, v.Src), end(v.Peer, v.Dst)
		service := network.Service(v.Protocol, v.Port)
		if v.Allowed && (from == gatewayName || to == gatewayName) {
			service = "DICOM" // the gateway sees more of it
		} else if w, ok := m.wires[[3]string{from, to, service}]; ok && v.Allowed {
			w.Declared = true
		}
		m.add(Wire{From: from, To: to, Service: service, Declared: v.Allowed, Seen: v.Last})
	}
	return err
}

// end is one end of what a sensor saw.
func end(name string, a netip.Addr) string {
	if name == "gateway" {
		return gatewayName
	}
	return cmp.Or(name, a.String())
}

// declaredWires are what devices are declared to talk to beside the gateway.
func (s *pages) declaredWires(ctx context.Context, m sketch) error {
	flows, err := s.Devices.AllFlows(ctx)
	for name, some := range flows {
		if _, ok := m.known[name]; !ok {
			continue // it is not in the register any more
		}
		for _, f := range some {
			service := f.Protocol
			if f.Port != 0 {
				service = fmt.Sprintf("%s/%d", f.Protocol, f.Port)
			}
			others := []string{f.Purpose}
			if len(f.To) > 0 {
				others = nil
			}
			for _, p := range f.To {
				other := s.who(p)
				others = append(others, other)
				m.note(other, f.Purpose)
			}
			for _, other := range others {
				w := Wire{From: name, To: other, Service: service, Declared: true}
				if f.Inbound {
					w.From, w.To = other, name
				}
				m.add(w)
			}
		}
	}
	return err
}

// who has an address: a device or archive, or the address.
func (s *pages) who(p netip.Prefix) string {
	site := s.Site()
	for _, a := range site.Archives {
		if slices.Contains(a.Addresses, p) {
			return a.Name
		}
	}
	for _, d := range s.Devices.Devices() {
		if slices.Contains(d.Addresses, p) {
			return d.Name
		}
	}
	return plainly(p)
}

func (s *pages) declared(name string) (policy.Device, bool) {
	all := s.Devices.Devices()
	i := slices.IndexFunc(all, func(d policy.Device) bool { return d.Name == name })
	if i < 0 {
		return policy.Device{}, false
	}
	return all[i], true
}

// plainly is one address without its length.
func plainly(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
